//! Ctrl-C: once finishes what is being done, twice stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::eprintln;
use anyhow::Result;

/// What a shell makes of a program that SIGINT ended.
const CODE: i32 = 130;

/// Ends the program with the code of an interruption, if there was one: what comes behind `&&` is for work that was done.
pub(super) fn leave_if(interrupted: bool) {
    if interrupted {
        std::process::exit(CODE);
    }
}

/// A flag that Ctrl-C raises; `unit` is what is finished first, such as `step`.
///
/// # Errors
/// When the system takes no handler.
pub(super) fn stop_on_ctrl_c(unit: &'static str) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(CODE);
        }
        eprintln!("\nstopping after this {unit}; Ctrl-C again stops at once");
    })?;
    Ok(stop)
}
