import nodemailer from "nodemailer";

const transporter = nodemailer.createTransport(process.env.SMTP_URL);

await transporter.sendMail({
  from: "hello@acme.com",
  to: "user@example.com",
  subject: "Hello from SMTP!",
  html: "<p>Sent via Sendry SMTP relay.</p>",
});
