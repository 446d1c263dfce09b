import nodemailer from "nodemailer";

const transporter = nodemailer.createTransport({
  host: "smtp.sendry.online",
  port: 587,
  secure: false, // STARTTLS
  auth: {
    user: "sendry",
    pass: process.env.SENDRY_API_KEY,
  },
});

await transporter.sendMail({
  from: "hello@acme.com",
  to: "user@example.com",
  subject: "Hello from SMTP!",
  html: "<p>Sent via Sendry SMTP relay.</p>",
});
