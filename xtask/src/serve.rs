//! A static server for the page on 127.0.0.1: right types, nothing outside its directory, nothing but reading.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

/// Requests answered at the same time: a page asks for a handful of files at once.
const WORKERS: usize = 8;

/// A running server; it stops when this is dropped.
pub(crate) struct Serving {
    server: Arc<Server>,
    workers: Vec<thread::JoinHandle<()>>,
    address: String,
}

impl Serving {
    /// Serves `dir` on 127.0.0.1; port 0 takes any free one.
    ///
    /// # Errors
    /// When the directory does not exist or the port is taken.
    pub(crate) fn start(dir: &Path, port: u16) -> Result<Self> {
        let dir = dir
            .canonicalize()
            .with_context(|| format!("nothing to serve in {}", dir.display()))?;
        let server = Server::http(("127.0.0.1", port))
            .map_err(|error| anyhow!("port {port}: {error}; choose another with --port"))?;
        let address = format!("http://{}/", server.server_addr());
        let server = Arc::new(server);
        let workers = (0..WORKERS)
            .map(|_| {
                let (server, dir) = (Arc::clone(&server), dir.clone());
                thread::spawn(move || {
                    while let Ok(request) = server.recv() {
                        // A browser that hangs up early is no fault of ours.
                        let _ = answer(request, &dir);
                    }
                })
            })
            .collect();
        Ok(Self {
            server,
            workers,
            address,
        })
    }

    /// Where the page is, with a slash at the end.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Serves until the process is ended.
    pub(crate) fn wait(mut self) {
        for worker in self.workers.drain(..) {
            // A worker that panicked leaves the others serving.
            let _ = worker.join();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        for _ in &self.workers {
            self.server.unblock();
        }
    }
}

fn answer(request: Request, dir: &Path) -> std::io::Result<()> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(plain(405, "only GET and HEAD"));
    }
    let found = file_of(dir, request.url()).and_then(|path| Some((File::open(&path).ok()?, path)));
    let Some((file, path)) = found else {
        return request.respond(plain(404, "not found"));
    };
    let mut response =
        Response::from_file(file).with_header(header("Content-Type", media_type(&path)));
    for (name, value) in [
        // The page may measure precisely and share memory, and no other page can reach into it.
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),
        ("X-Content-Type-Options", "nosniff"),
        // A rebuilt page must show at the next reload.
        ("Cache-Control", "no-cache"),
    ] {
        response.add_header(header(name, value));
    }
    request.respond(response)
}

fn plain(status: u16, text: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    Response::from_string(text).with_status_code(StatusCode(status))
}

fn header(name: &str, value: &str) -> Header {
    // Only the constants of this file come here, and a test sends each of them.
    #[allow(clippy::expect_used, reason = "constant ASCII names and values")]
    Header::from_bytes(name, value).expect("a valid header")
}

/// The file a URL path stands for, only if it lies in `dir` (links followed).
fn file_of(dir: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?;
    let path = percent_decoded(path)?;
    let mut file = dir.join(path.trim_start_matches('/')).canonicalize().ok()?;
    if file.is_dir() {
        file = file.join("index.html").canonicalize().ok()?;
    }
    (file.starts_with(dir) && file.is_file()).then_some(file)
}

/// `%41` to `A`; nothing when it is malformed or not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            0 => return None,
            other => other,
        });
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|path| !path.contains('\0'))
}

/// The media type by file name; browsers insist on it for modules, workers and streaming wasm.
fn media_type(path: &Path) -> &'static str {
    match path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
    {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn ask(serving: &Serving, method: &str, path: &str) -> String {
        let host = serving
            .address()
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn files_come_with_their_type_and_nothing_else_comes() {
        let outer = tempfile::tempdir().unwrap();
        let page = outer.path().join("page");
        fs::create_dir_all(page.join("sub dir")).unwrap();
        fs::write(outer.path().join("secret.txt"), "secret").unwrap();
        fs::write(page.join("index.html"), "<p>home").unwrap();
        fs::write(page.join("sub dir/engine.wasm"), "\0asm").unwrap();
        let serving = Serving::start(&page, 0).unwrap();

        let home = ask(&serving, "GET", "/?x=1");
        assert!(
            home.starts_with("HTTP/1.1 200") && home.ends_with("<p>home"),
            "{home}"
        );
        assert!(
            home.contains("text/html") && home.contains("require-corp"),
            "{home}"
        );
        let wasm = ask(&serving, "GET", "/sub%20dir/engine.wasm");
        assert!(wasm.contains("application/wasm"), "{wasm}");
        let head = ask(&serving, "HEAD", "/index.html");
        assert!(
            head.starts_with("HTTP/1.1 200") && !head.contains("<p>home"),
            "{head}"
        );

        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "//etc/hostname",
            "/%00",
            "/%zz",
            "/sub%20dir/",
        ] {
            let refused = ask(&serving, "GET", path);
            assert!(refused.starts_with("HTTP/1.1 404"), "{path}: {refused}");
        }
        assert!(ask(&serving, "POST", "/").starts_with("HTTP/1.1 405"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_does_not_lead_outside() {
        let outer = tempfile::tempdir().unwrap();
        let page = outer.path().join("page");
        fs::create_dir(&page).unwrap();
        fs::write(outer.path().join("secret.txt"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret.txt", page.join("link.txt")).unwrap();
        assert_eq!(file_of(&page.canonicalize().unwrap(), "/link.txt"), None);
    }

    #[test]
    fn a_taken_port_is_said() {
        let outer = tempfile::tempdir().unwrap();
        let first = Serving::start(outer.path(), 0).unwrap();
        let port = first
            .address()
            .trim_end_matches('/')
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let error = Serving::start(outer.path(), port).err().unwrap();
        assert!(format!("{error:#}").contains("--port"), "{error:#}");
    }
}
