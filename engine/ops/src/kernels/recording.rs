//! Launches that a device keeps and makes again: what the host decides for each is decided once.

use burn::tensor::Bytes;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::{Client, Graph};
use cubecl::server::ServerError;

/// Why there is no recording.
#[derive(Debug)]
pub(crate) enum Unrecorded {
    /// The device keeps no launches, or not now; nothing else has changed.
    Refused,
    /// Something in the recording failed. The device takes what its launches write for spoilt.
    Spoilt(ServerError),
}

/// A recording under way, which ends with this also where a panic does.
struct Window<'a>(Option<&'a Client>);

impl Window<'_> {
    fn close(mut self) -> Result<Graph, ServerError> {
        let client = self.0.take();
        // Taken by nobody else, for this consumes the window.
        client.map_or_else(|| unreachable!("closed once"), Client::stop_capture)
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.0 {
            // What it says is of a recording nobody wants any more.
            drop(client.stop_capture());
        }
    }
}

/// Records what `act` launches on the device of `like`, and returns what it made: the launches fill it each time they are replayed, not
/// before. `act` runs twice, first for good: what it needs is allocated and compiled then. The second time it must launch the same, read
/// nothing back and upload nothing.
pub(crate) fn record<T>(
    like: &CubeTensor,
    mut act: impl FnMut() -> T,
) -> Result<(Graph, T), Unrecorded> {
    let client = &like.client;
    client.graph_prepare().map_err(|_| Unrecorded::Refused)?;
    let window = Window(Some(client));
    drop(act());
    client.start_capture().map_err(|_| Unrecorded::Refused)?;
    let made = act();
    let graph = window.close().map_err(Unrecorded::Spoilt)?;
    Ok((graph, made))
}

/// Makes the launches of a recording again, on the thread that recorded them.
#[allow(unsafe_code, reason = "one call of the runtime, see below")]
pub(crate) fn replay(graph: &Graph) -> Result<(), ServerError> {
    // SAFETY: what is asked for is that buffers live, that nobody else uses them, and that what is told meanwhile is told by one thread.
    // For on some devices launches hold bare addresses. Kernels of ours run on wgpu only, where a bind group keeps its buffers, and the
    // pages of a recording are handed to nobody else as long as it lives: a careless caller finds other numbers, not other memory.
    // `crate::Recording`, which holds the graph, stays on its thread.
    unsafe { graph.replay() }
}

/// Puts `words` into the memory of a tensor, of which they are all.
pub(crate) fn rewrite(tensor: &CubeTensor, words: &[u32]) {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    tensor
        .client
        .write(&tensor.handle, Bytes::from_bytes_vec(bytes));
}
