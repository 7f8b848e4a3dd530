//! `cargo xtask demo`: everything built, the page on 127.0.0.1, or its story told by a headless Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::println;
use anyhow::{Result, bail};

use crate::paths::{package_dir, page_dir, root, target_dir};
use crate::run::{loud, stage};
use crate::serve::{self, Serving};
use crate::tally::Tally;
use crate::{playwright, system, wasm, web};

/// The port of the page unless another is asked for.
const PORT: u16 = 4173;

/// Options of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run the story in a headless Chromium and exit with its result
    #[arg(long)]
    check: bool,
    /// The port on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = PORT, conflicts_with = "check")]
    port: u16,
    /// Print the address only; do not open a browser
    #[arg(long)]
    no_open: bool,
}

/// Builds the page and serves it until the process is ended, or checks it.
///
/// # Errors
/// When something is missing or does not build, the port is taken, or the story fails.
pub(crate) fn demo(options: &Options) -> Result<()> {
    prepare(options)?;
    build_page()?;
    if options.check {
        let tally = browser_tests(&["story"])?;
        if tally.failed + tally.skipped > 0 || tally.passed == 0 {
            bail!(
                "the story failed: {} passed, {} failed, {} skipped",
                tally.passed,
                tally.failed,
                tally.skipped
            );
        }
        println!("{} passed, 0 failed", tally.passed);
        return Ok(());
    }
    let serving = Serving::start(&page_dir(), options.port)?;
    println!("\nNameLens is at {} (Ctrl-C ends it)", serving.address());
    if !options.no_open
        && let Err(error) = system::open_in_browser(serving.address())
    {
        println!("  no browser opened: {error:#}");
    }
    serving.wait();
    Ok(())
}

/// Asks for what the command needs before it builds for half an hour.
fn prepare(options: &Options) -> Result<()> {
    if options.check {
        return system::provide(&[&system::NODE, &system::CHROMIUM]);
    }
    system::provide(&[&system::NODE])?;
    serve::check_port(options.port)
}

/// Builds wasm, package and page, each only as far as it is out of date.
///
/// # Errors
/// When something is missing or does not build.
pub(crate) fn build_page() -> Result<()> {
    wasm::build(&wasm::Options::default())?;
    web::install()?;
    web::build()
}

/// Runs the browser specs whose file names contain one of `only` (all when empty) against the built page.
///
/// # Errors
/// When the page is missing, or Playwright does not run. Failing tests are in the tally.
pub(crate) fn browser_tests(only: &[&str]) -> Result<Tally> {
    let folders = model_folders()?;
    // Beside the page the package, as a stranger's page would have it: a worker's own workers ask the server, past the specs.
    let serving = Serving::start_with(&page_dir(), &[("/package", &package_dir())], 0)?;
    let settings = [
        ("NAMELENS_URL", serving.address().as_ref()),
        ("NAMELENS_FOLDERS", folders.as_os_str()),
    ];
    playwright::run("tests/browser", only, &settings)
}

/// The program of the crate of tests that makes model folders.
const MODEL_FOLDERS: &str = "model-folders";

/// Makes the model folders that the specs load, and what the native engine says with each.
fn model_folders() -> Result<PathBuf> {
    let folders = target_dir().join("model-folders");
    stage("model folders", || {
        // Of the whole workspace, although one program is wanted: alone it would have other features of every dependency,
        // and all of them would be built once more.
        let mut build = Command::new("cargo");
        build.current_dir(root());
        build.args(["build", "--quiet", "--workspace", "--bin", MODEL_FOLDERS]);
        loud(&mut build, "the compiler's message above says where")?;
        let mut make = maker(&folders);
        loud(&mut make, "the error above says what could not be made")
    })?;
    Ok(folders)
}

/// The program that was built, ready to make `folders`.
fn maker(folders: &Path) -> Command {
    let program = format!("debug/{MODEL_FOLDERS}{}", std::env::consts::EXE_SUFFIX);
    let mut make = Command::new(target_dir().join(program));
    // As cargo would run it: the program finds the checkout by this, wherever the user's own folder is.
    make.current_dir(root())
        .env("CARGO_MANIFEST_DIR", root().join("tests"))
        .arg(folders);
    make
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_folders_are_made_of_the_checkout_whatever_the_users_folder_is() {
        let make = maker(Path::new("/folders"));
        assert_eq!(make.get_current_dir(), Some(&*root()));
        let checkout = root().join("tests");
        let mut told = make.get_envs();
        assert!(told.any(|told| told == ("CARGO_MANIFEST_DIR".as_ref(), Some(checkout.as_ref()))));
        assert!(Path::new(make.get_program()).starts_with(target_dir()));
    }
}
