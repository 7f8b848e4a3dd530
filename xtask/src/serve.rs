//! A static server for the page on 127.0.0.1: right types, ranges, nothing outside its directory, nothing but reading.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tower_http::services::ServeDir;

/// A running server; it stops when this is dropped.
pub(crate) struct Serving {
    runtime: Runtime,
    address: String,
}

impl Serving {
    /// Serves `dir` on 127.0.0.1; port 0 takes any free one.
    ///
    /// # Errors
    /// When the directory does not exist or the port is taken.
    pub(crate) fn start(dir: &Path, port: u16) -> Result<Self> {
        Self::start_with(dir, &[], port)
    }

    /// The same with further directories, each below a path such as `/package`.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn start_with(dir: &Path, more: &[(&str, &Path)], port: u16) -> Result<Self> {
        let mut router = files(dir)?;
        for (path, dir) in more {
            router = router.nest_service(path, files(dir)?);
        }
        let runtime = Runtime::new().context("the server's threads")?;
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", port)))
            .with_context(|| taken(port))?;
        let address = format!("http://{}/", listener.local_addr()?);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { runtime, address })
    }

    /// Where the page is, with a slash at the end.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Serves until the process is ended.
    pub(crate) fn wait(self) {
        self.runtime.block_on(std::future::pending())
    }
}

/// Refuses a port that something else listens on.
///
/// # Errors
/// When it is taken, or this user may not have it.
pub(crate) fn check_port(port: u16) -> Result<()> {
    let free = std::net::TcpListener::bind(("127.0.0.1", port));
    free.map(drop).with_context(|| taken(port))
}

fn taken(port: u16) -> String {
    format!("port {port}; choose another with --port")
}

/// The files of a directory.
fn files(dir: &Path) -> Result<Router> {
    let dir: Arc<Path> = dir
        .canonicalize()
        .with_context(|| format!("nothing to serve in {}", dir.display()))?
        .into();
    Ok(Router::new()
        .fallback_service(ServeDir::new(&dir))
        .layer(from_fn_with_state(dir, answer)))
}

/// Refuses what a link leads out of the directory, and adds the headers a page needs.
async fn answer(State(dir): State<Arc<Path>>, request: Request, next: Next) -> Response {
    let inside = file_of(&dir, request.uri().path()).is_some();
    let mut response = if inside {
        next.run(request).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    };
    for (name, value) in [
        // The page may measure precisely and share memory, and no other page can reach into it.
        (
            header::HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            header::HeaderName::from_static("cross-origin-embedder-policy"),
            "require-corp",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A rebuilt page must show at the next reload.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The file a URL path stands for, only if it lies in `dir` (links followed).
fn file_of(dir: &Path, path: &str) -> Option<PathBuf> {
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .ok()?;
    let mut file = dir.join(path.trim_start_matches('/')).canonicalize().ok()?;
    if file.is_dir() {
        file = file.join("index.html").canonicalize().ok()?;
    }
    (file.starts_with(dir) && file.is_file()).then_some(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    fn ask(serving: &Serving, method: &str, path: &str, more: &str) -> String {
        let host = serving
            .address()
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n\r\n"
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

        let home = ask(&serving, "GET", "/?x=1", "Accept: */*");
        assert!(
            home.starts_with("HTTP/1.1 200") && home.ends_with("<p>home"),
            "{home}"
        );
        assert!(
            home.contains("text/html") && home.contains("require-corp"),
            "{home}"
        );
        let wasm = ask(&serving, "GET", "/sub%20dir/engine.wasm", "Accept: */*");
        assert!(wasm.contains("application/wasm"), "{wasm}");
        let head = ask(&serving, "HEAD", "/index.html", "Accept: */*");
        assert!(
            head.starts_with("HTTP/1.1 200") && !head.contains("<p>home"),
            "{head}"
        );

        // A download that broke off goes on where it stopped.
        let rest = ask(&serving, "GET", "/index.html", "Range: bytes=3-");
        assert!(
            rest.starts_with("HTTP/1.1 206") && rest.ends_with("\r\n\r\nhome"),
            "{rest}"
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
            let refused = ask(&serving, "GET", path, "Accept: */*");
            assert!(refused.starts_with("HTTP/1.1 404"), "{path}: {refused}");
        }
        assert!(ask(&serving, "POST", "/", "Accept: */*").starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn a_second_directory_keeps_to_itself() {
        let outer = tempfile::tempdir().unwrap();
        let [page, more] = ["page", "more"].map(|name| outer.path().join(name));
        for (dir, text) in [(&page, "<p>home"), (&more, "<p>more")] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("index.html"), text).unwrap();
        }
        fs::write(more.join("own.txt"), "own").unwrap();
        let serving = Serving::start_with(&page, &[("/more", &more)], 0).unwrap();
        for (path, ending) in [
            ("/index.html", "<p>home"),
            ("/more/index.html", "<p>more"),
            ("/more/own.txt", "own"),
        ] {
            let found = ask(&serving, "GET", path, "Accept: */*");
            assert!(found.starts_with("HTTP/1.1 200"), "{path}: {found}");
            assert!(found.ends_with(ending), "{path}: {found}");
            assert!(found.contains("require-corp"), "{path}: {found}");
        }
        for path in [
            "/own.txt",
            "/more/../page/index.html",
            "/more/%2e%2e/page/index.html",
        ] {
            let refused = ask(&serving, "GET", path, "Accept: */*");
            assert!(refused.starts_with("HTTP/1.1 404"), "{path}: {refused}");
        }
    }

    #[test]
    fn connections_that_stay_open_keep_nobody_waiting() {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("index.html"), "<p>home").unwrap();
        let serving = Serving::start(outer.path(), 0).unwrap();
        let host = serving
            .address()
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let mut open: Vec<_> = (0..64).map(|_| TcpStream::connect(host).unwrap()).collect();
        for stream in &mut open {
            write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        }
        for (index, stream) in open.iter_mut().enumerate() {
            // Not a measure of speed: a connection nobody serves would wait for ever.
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let mut start = [0; 12];
            let read = stream.read_exact(&mut start);
            assert!(
                read.is_ok() && start == *b"HTTP/1.1 200",
                "connection {index}: {read:?}"
            );
        }
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
