//! Milliseconds a photo and a sample cost at 96 pixels: `cargo run -p playroom --example speed`.

use std::time::Instant;

use playroom::{SampleOptions, Split, regions, sample};

fn main() {
    let options = SampleOptions::default();
    let start = Instant::now();
    let photos: usize = (0..300)
        .map(|seed| 1 + sample(seed, &options).concepts.len())
        .sum();
    let took = start.elapsed().as_secs_f64() * 1e3;
    println!(
        "sample: {:.2} ms, {:.2} ms a photo",
        took / 300.0,
        took / photos as f64
    );
    let start = Instant::now();
    let things: usize = (0..500)
        .map(|seed| regions(seed, Split::Train, 96).regions.len())
        .sum();
    let took = start.elapsed().as_secs_f64() * 1e3;
    println!(
        "regions: {:.2} ms, {:.1} things each",
        took / 500.0,
        things as f64 / 500.0
    );
}
