import nodemailer from "nodemailer";

const transporter = nodemailer.createTransport(
  process.env.SMTP_URL || {
    host: process.env.SMTP_HOST,
    port: Number(process.env.SMTP_PORT),
    secure: false, // STARTTLS
    auth: {
      user: "sendry",
      pass: process.env.SENDRY_API_KEY,
    },
  },
);

await transporter.sendMail({
  from: "hello@example.test",
  to: "user@example.org",
  subject: process.env.SUBJECT,
  html: "<p>Sent via Sendry SMTP relay.</p>",
});
