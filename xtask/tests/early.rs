//! What is missing on the machine is told before anything is built.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// A folder of programs, the only ones that are found: a shell and, if there is one, a Node of this version.
fn programs(node: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    symlink("/bin/sh", folder.path().join("sh")).unwrap();
    if let Some(version) = node {
        for name in ["node", "npm"] {
            let program = folder.path().join(name);
            fs::write(&program, format!("#!/bin/sh\necho {version}\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    folder
}

/// What a command says that fails with these programs. Nothing could be built with them: there is no cargo.
fn said(programs: &Path, args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(args)
        .env("PATH", programs)
        .env_remove("CHROMEDRIVER")
        .env("NAMELENS_CHROMIUM", "/bin/sh")
        .output()
        .unwrap();
    assert!(!out.status.success(), "{args:?}");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn the_page_needs_a_node_that_is_new_enough() {
    for args in [
        &["demo", "--no-open"][..],
        &["demo", "--check"],
        &["test"],
        &["test", "--only", "browser"],
    ] {
        let nothing = programs(None);
        let text = said(nothing.path(), args);
        assert!(
            text.contains("not found: ") && text.contains("Node.js"),
            "{args:?}: {text}"
        );
        let old = programs(Some("v18.20.4"));
        let text = said(old.path(), args);
        assert!(text.contains("v18.20.4 is too old"), "{args:?}: {text}");
    }
}

#[test]
fn tests_in_a_browser_need_its_driver() {
    let nothing = programs(None);
    let text = said(nothing.path(), &["test", "--only", "wasm"]);
    assert!(text.contains("chromedriver"), "{text}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let new = programs(Some("v22.1.0"));
    let text = said(new.path(), &["demo", "--no-open", "--port", &port]);
    assert!(
        text.contains(&format!("port {port}; choose another")),
        "{text}"
    );
}
