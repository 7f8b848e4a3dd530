//! Ctrl-C: once finishes what is being done, twice stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::eprintln;
use anyhow::Result;

/// A flag that Ctrl-C raises; `unit` is what is finished first, such as `step`.
///
/// # Errors
/// When the system takes no handler.
pub(super) fn stop_on_ctrl_c(unit: &'static str) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping after this {unit}; Ctrl-C again stops at once");
    })?;
    Ok(stop)
}
