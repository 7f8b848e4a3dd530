//! Every family that writes against the reference implementation, stage by stage, on small random checkpoints.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::Device;
use namelens_engine::generate::{Photos, Session};
use namelens_engine::host::Still;
use namelens_engine::model::patch_grid::PatchGrid;
use namelens_engine::model::positions::Grid;
use namelens_engine::model::vlm::Vlm;
use namelens_tests::floats;
use namelens_tests::golden::{Case, Checkpoint, distance, writers};

/// Largest distance from the reference in standard deviations of the values compared, in f32. The reference itself is
/// some 1e-5 from its own result in f64, and sums in another order come on top; planted bugs move logits by 1e-3 and more.
const BAR: f32 = 1e-4;

/// Runs `check` on every case of every checkpoint; it says how far the case is off, if the case has this stage. A checkpoint that
/// `must` have the stage has a case with it.
fn each(
    stage: &str,
    must: impl Fn(&Checkpoint) -> bool,
    check: impl Fn(&Checkpoint, &Vlm, &namelens_engine::model::config::VlmConfig, &Case) -> Option<f32>,
) {
    let device = Device::flex();
    let mut all = 0;
    for checkpoint in writers() {
        let (vlm, config) = checkpoint.vlm(&device);
        let (mut worst, mut seen) = (0.0f32, 0);
        for case in checkpoint.cases() {
            let Some(distance) = check(&checkpoint, &vlm, &config, &case) else {
                continue;
            };
            assert!(
                distance <= BAR,
                "{stage} of {}: {distance:.1e} deviations",
                case.name
            );
            worst = worst.max(distance);
            seen += 1;
        }
        assert!(
            seen > 0 || !must(&checkpoint),
            "no case of {} has {stage}",
            checkpoint.name
        );
        println!("{stage} | {} | {worst:.1e} | {seen} cases", checkpoint.name);
        all += seen;
    }
    assert!(all > 0, "no case has {stage}");
}

fn any(_: &Checkpoint) -> bool {
    true
}

fn sees(checkpoint: &Checkpoint) -> bool {
    checkpoint.config.get("vision_config").is_some()
}

/// Whether it is of one of these families.
fn of(types: &'static [&str]) -> impl Fn(&Checkpoint) -> bool {
    |checkpoint| {
        let own = &checkpoint.config["model_type"];
        types.iter().any(|name| own == *name)
    }
}

#[test]
fn visual_tokens_are_the_references() {
    let device = Device::flex();
    each("visual tokens", sees, |checkpoint, vlm, config, case| {
        let (visual, _) = case.visual(checkpoint, vlm, config, &device);
        let (_, want) = case.floats("image_features")?;
        Some(distance(&floats(visual?.tokens), &want))
    });
}

#[test]
fn deepstack_features_are_the_references() {
    let device = Device::flex();
    let must = of(&["qwen3_vl"]);
    each("DeepStack", must, |checkpoint, vlm, config, case| {
        let mut worst: Option<f32> = None;
        for at in 0.. {
            let Some((_, want)) = case.floats(&format!("deepstack_features_{at}")) else {
                break;
            };
            let (visual, _) = case.visual(checkpoint, vlm, config, &device);
            let deep = visual.unwrap().deep[at].clone();
            worst = Some(distance(&floats(deep), &want).max(worst.unwrap_or(0.0)));
        }
        worst
    });
}

#[test]
fn logits_are_the_references_at_every_position() {
    let device = Device::flex();
    each("logits", any, |checkpoint, vlm, config, case| {
        if case.is_padded() {
            return None;
        }
        let (rows, _) = case.rows();
        let (visual, grids) = case.visual(checkpoint, vlm, config, &device);
        let (spots, _) = vlm.positions(&rows[0], &grids).unwrap();
        let reading = vlm.read_at(&rows[0], visual.as_ref(), &spots).unwrap();
        let (shape, want) = case.floats("logits")?;
        let hidden = vlm.forward(reading, None);
        let width = hidden.dims()[2];
        let logits = vlm.decoder.logits(hidden.reshape([shape[1], width]));
        Some(distance(&floats(logits), &want))
    });
}

#[test]
fn rows_filled_up_on_the_left_give_the_references_logits() {
    let device = Device::flex();
    let must = |checkpoint: &Checkpoint| checkpoint.cases().iter().any(Case::is_padded);
    each("padded logits", must, |checkpoint, vlm, config, case| {
        if !case.is_padded() {
            return None;
        }
        let (rows, padding) = case.rows();
        let (visual, grids) = case.visual(checkpoint, vlm, config, &device);
        let grids = of_rows(case, &grids);
        let reading = vlm
            .read_padded(&rows, &padding, visual.as_ref(), &grids)
            .unwrap();
        let (shape, want) = case.floats("logits")?;
        let hidden = vlm.forward(reading, None);
        let width = hidden.dims()[2];
        let logits = floats(
            vlm.decoder
                .logits(hidden.reshape([shape[0] * shape[1], width])),
        );
        let mut worst = 0.0f32;
        for (row, padding) in padding.iter().enumerate() {
            let real = (row * shape[1] + padding) * shape[2]..(row + 1) * shape[1] * shape[2];
            worst = worst.max(distance(&logits[real.clone()], &want[real]));
        }
        Some(worst)
    });
}

/// The photos' grids, row by row. A family whose frames are alike has one grid for all, and does not look at it.
fn of_rows(case: &Case, grids: &[Grid]) -> Vec<Vec<Grid>> {
    let images = case.meta["images"].as_array().unwrap();
    let mut grids = grids.iter().copied();
    images
        .iter()
        .map(|row| grids.by_ref().take(row.as_array().unwrap().len()).collect())
        .collect()
}

#[test]
fn every_layer_is_the_references() {
    let device = Device::flex();
    each("layers", any, |checkpoint, vlm, config, case| {
        let layer = |side: &str, at: usize| Some(case.floats(&format!("{side}_hidden_{at}"))?.1);
        layer("text", 0)?;
        let mut worst = 0.0f32;
        let tower = vlm.vision().ok().map(|vision| &vision.tower);
        if let Some(tower) = tower {
            let mut passage = tower.enter(case.frames(checkpoint, config, &device).remove(0));
            for at in 0..=tower.depth() {
                let far = distance(&floats(passage.hidden()), &layer("vision", at)?);
                assert!(
                    far <= BAR,
                    "{}: {far:.1e} before layer {at} of the tower",
                    case.name
                );
                worst = worst.max(far);
                if at < tower.depth() {
                    tower.layer(at, &mut passage);
                }
            }
        }
        let (rows, _) = case.rows();
        let (visual, grids) = case.visual(checkpoint, vlm, config, &device);
        let (spots, _) = vlm.positions(&rows[0], &grids).unwrap();
        let mut reading = vlm.read_at(&rows[0], visual.as_ref(), &spots).unwrap();
        for at in 0..=vlm.decoder.depth() {
            let far = distance(&floats(reading.x.clone()), &layer("text", at)?);
            assert!(
                far <= BAR,
                "{}: {far:.1e} before layer {at} of the decoder",
                case.name
            );
            worst = worst.max(far);
            if at < vlm.decoder.depth() {
                vlm.layer(at, &mut reading, None);
            }
        }
        Some(worst)
    });
}

fn argmax(logits: &[f32]) -> i64 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.unwrap().0 as i64
}

#[test]
fn greedy_tokens_are_the_references() {
    let device = Device::flex();
    each("greedy tokens", any, |checkpoint, vlm, config, case| {
        let (rows, padding) = case.rows();
        let (shape, want) = case.ints("greedy_ids")?;
        let (_, gaps) = case.floats("greedy_gap")?;
        let noise = case.meta["noise"].as_f64().unwrap() as f32;
        let (visual, grids) = case.visual(checkpoint, vlm, config, &device);
        let places = |ids: &[u32]| {
            ids.iter()
                .filter(|&&id| id == config.image_token_id)
                .count()
        };
        let mut first = 0;
        for (row, ids) in rows.iter().enumerate() {
            let ids = &ids[padding[row]..];
            let own = visual
                .as_ref()
                .map(|visual| visual.narrow(first, places(ids)));
            first += places(ids);
            let grids = &of_rows(case, &grids)[row];
            let photos = own.as_ref().map(|visual| Photos { visual, grids });
            let mut session = Session::new(vlm, 256, config.image_token_id);
            let mut logits =
                pollster::block_on(session.prefill(ids, photos, &Still, &mut |_, _| ())).unwrap();
            for step in 0..shape[1] {
                let at = row * shape[1] + step;
                if gaps[at] <= 100.0 * noise {
                    break;
                }
                assert_eq!(
                    argmax(&logits),
                    want[at],
                    "{}: row {row}, token {step}",
                    case.name
                );
                logits = pollster::block_on(session.step(want[at] as u32, &Still)).unwrap();
            }
        }
        Some(0.0)
    });
}

#[test]
fn a_conversation_goes_on_where_it_ended() {
    let device = Device::flex();
    let is_conversation = |case: &Case| case.name.ends_with("multi_turn");
    let must = |checkpoint: &Checkpoint| {
        sees(checkpoint) && checkpoint.cases().iter().any(is_conversation)
    };
    each("second turn", must, |checkpoint, vlm, config, case| {
        if !is_conversation(case) {
            return None;
        }
        let (rows, _) = case.rows();
        let ids = &rows[0];
        let (visual, grids) = case.visual(checkpoint, vlm, config, &device);
        // A decoder alone has no photo whose turn could come first; `text_only` has its conversation.
        let visual = visual?;
        let is_place = |at: &usize| ids[*at] == config.image_token_id;
        let last_photo = (0..ids.len()).rev().find(is_place).unwrap();
        // The first turn ends somewhere between the photos.
        let first_end = (0..last_photo).rev().find(|at| !is_place(at)).unwrap();
        let mut session = Session::new(vlm, 256, config.image_token_id);
        let seen = visual.narrow(
            0,
            ids[..first_end - 3]
                .iter()
                .filter(|&&id| id == config.image_token_id)
                .count(),
        );
        let first_grids = &grids[..grids.len().min(1)];
        let photos = Photos {
            visual: &seen,
            grids: first_grids,
        };
        let beginning = &ids[..first_end - 3];
        pollster::block_on(session.prefill(beginning, Some(photos), &Still, &mut |_, _| ()))
            .unwrap();
        // What was said, and two tokens that the conversation takes back.
        let said = ids[first_end - 3..first_end].iter().copied();
        for id in said.chain([40, 41]) {
            pollster::block_on(session.step(id, &Still)).unwrap();
        }
        let photos = Photos {
            visual: &visual,
            grids: &grids,
        };
        let logits =
            pollster::block_on(session.prefill(ids, Some(photos), &Still, &mut |_, _| ())).unwrap();
        let (shape, want) = case.floats("logits")?;
        let want = &want[(shape[1] - 1) * shape[2]..];
        Some(distance(&logits, want))
    });
}

#[test]
fn positions_by_row_and_column_are_the_references() {
    let must = of(&["qwen2_5_vl", "qwen3_vl"]);
    each("positions", must, |_, vlm, _, case| {
        let (shape, want) = case.ints("mrope_position_ids")?;
        let (rows, padding) = case.rows();
        let grids = match case.ints("image_grid_thw") {
            Some((_, grids)) => grids
                .chunks(3)
                .map(|g| (g[1] as usize / 2, g[2] as usize / 2))
                .collect(),
            None => Vec::new(),
        };
        let grids = of_rows(case, &grids);
        let (_, deltas) = case.ints("rope_deltas")?;
        for (row, ids) in rows.iter().enumerate() {
            let (spots, saved) = vlm.positions(&ids[padding[row]..], &grids[row]).unwrap();
            assert_eq!(-(saved as i64), deltas[row], "{}: row {row}", case.name);
            for (token, spot) in spots.iter().enumerate() {
                for (axis, &found) in spot.iter().enumerate() {
                    let at = (axis * shape[1] + row) * shape[2] + padding[row] + token;
                    assert_eq!(
                        i64::from(found),
                        want[at],
                        "{}: row {row}, token {token}, axis {axis}",
                        case.name
                    );
                }
            }
        }
        Some(0.0)
    });
}

#[test]
fn windows_are_the_references() {
    let must = of(&["qwen2_5_vl"]);
    each("windows", must, |_, _, config, case| {
        let (_, want) = case.ints("window_index")?;
        let (_, ends) = case.ints("cu_window_seqlens")?;
        let (_, grids) = case.ints("image_grid_thw")?;
        let variant = &config.vision_config.variant;
        let (mut order, mut lengths) = (Vec::new(), vec![0]);
        for grid in grids.chunks(3) {
            let grid = PatchGrid {
                rows: grid[1] as usize,
                cols: grid[2] as usize,
            };
            let first = order.len() as i64;
            order.extend(
                grid.window_order(variant)
                    .into_iter()
                    .map(|at| first + at as i64),
            );
            for length in grid.window_lengths(variant) {
                lengths.push(lengths.last().unwrap() + length as i64);
            }
        }
        assert_eq!(order, want, "{}", case.name);
        assert_eq!(lengths, ends, "{}", case.name);
        Some(0.0)
    });
}
