// The frame of the one page.

export default function Layout({ children }) {
  return (
    <html lang="en">
      <head>
        <link rel="icon" href="/photos/thing.png" />
      </head>
      <body>{children}</body>
    </html>
  );
}
