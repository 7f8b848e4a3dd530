//! Writes contact sheets and prints dialogues: `cargo run -p playroom --example contact -- FOLDER`.

use std::path::PathBuf;

use playroom::identity::{Accessory, Category, Colour, Marking, Pattern};
use playroom::{Identity, Rgb, Rng, SampleOptions, Split, montage, reference, sample, sheet};

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let write = |name: &str, sheet: playroom::Sheet| {
        std::fs::write(folder.join(name), sheet.png().unwrap_or_default())
    };
    let options = SampleOptions::default();
    write("small.png", sheet(0, &options, 6, 10, 96))?;
    write("large.png", sheet(100, &options, 2, 3, 512))?;
    write("things.png", montage(&every_thing(256), 8))?;
    write("tiny.png", montage(&every_thing(48), 24))?;
    for seed in 0..12 {
        for turn in sample(seed, &options).turns {
            println!("{:?}: {} -> {}", turn.task, turn.question, turn.answer);
        }
    }
    Ok(())
}

/// Every category with every accessory and pattern once.
fn every_thing(side: u32) -> Vec<Rgb> {
    let mut rng = Rng::new(7, 0);
    let mut tiles = Vec::new();
    for (row, &category) in Category::ALL.iter().enumerate() {
        for column in 0..6 {
            let mut identity = Identity::random(&mut rng, Split::Train);
            identity.category = category;
            identity.accessory = Accessory::ALL[column];
            identity.pattern = Pattern::ALL[(column + row) % Pattern::ALL.len()];
            identity.marking = Marking::ALL[(column + row) % Marking::ALL.len()];
            identity.body = Colour::ALL[(column * 2 + row) % Colour::ALL.len()];
            if identity.marking == Marking::None && column == 0 {
                identity.marking = Marking::Heart;
            }
            while !identity.valid() {
                identity.second = rng.pick(Colour::ALL);
            }
            tiles.push(reference(identity, rng.seed(), side));
        }
    }
    tiles
}
