//! Times kernels natively and prints a line of JSON for each: `bench_native SECONDS KIND:ROWS:COLS:TOKENS ...`.

use std::error::Error;
use std::time::Instant;

use namelens_cpu_kernels::Level;

mod bench_body;

use bench_body::Bench;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let seconds: f64 = words
        .next()
        .ok_or("say how many seconds each may take")?
        .parse()?;
    let worst = bench_body::worst_error();
    println!(r#"{{"gate":"error","worst":{worst}}}"#);
    for work in words {
        let parts: Vec<&str> = work.split(':').collect();
        let [kind, rows, cols, tokens] = parts[..] else {
            return Err(format!("`{work}` is not KIND:ROWS:COLS:TOKENS").into());
        };
        let bench = Bench::new(kind, rows.parse()?, cols.parse()?, tokens.parse()?);
        let mut bench = bench.ok_or_else(|| format!("no work is called `{kind}`"))?;
        let (best, slices) = quickest(&mut bench, seconds);
        println!(
            r#"{{"work":"{work}","level":"{}","seconds":{best:e},"slices":{slices},"bytes":{},"flops":{}}}"#,
            Level::best().name(),
            bench.bytes,
            bench.flops
        );
    }
    Ok(())
}

/// The least time of the whole: of each part the least over many slices, for what else the machine does only ever adds.
fn quickest(bench: &mut Bench, seconds: f64) -> (f64, usize) {
    let once = |bench: &mut Bench, times: usize| {
        let start = Instant::now();
        std::hint::black_box(bench.run(times));
        start.elapsed().as_secs_f64()
    };
    once(bench, bench.parts);
    let mut times = 1;
    while bench.parts == 1 && once(bench, times) < 5e-4 && times < 1 << 20 {
        times *= 2;
    }
    let mut best = vec![f64::INFINITY; bench.parts];
    let (start, mut slices) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < seconds || slices < 5 {
        for best in &mut best {
            *best = best.min(once(bench, times) / times as f64);
        }
        slices += 1;
    }
    (best.iter().sum(), slices)
}
