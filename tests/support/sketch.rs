//! Many numbers told by few: norms of parameters or gradients and their products with random signs, against those of a golden.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use namelens_engine::model::params::ParamNames;
use namelens_engine::model::vlm::Vlm;
use serde_json::Value;

/// Vectors of random signs that each parameter is multiplied with.
const SIGNS: usize = 8;

/// Values by the name of their parameter.
pub type ByName = BTreeMap<String, Vec<f64>>;

/// What `of` makes of each parameter that has a name.
struct Read<'a, F> {
    names: &'a ParamNames,
    of: F,
    found: ByName,
}

/// Which values of a parameter are meant.
pub trait Values {
    /// They, or nothing where there are none.
    fn values<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Vec<f32>>;
}

/// The gradient of a parameter.
#[derive(Debug)]
pub struct Gradient<'a>(pub &'a GradientsParams);

impl Values for Gradient<'_> {
    fn values<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Vec<f32>> {
        let gradient = self.0.get::<D>(param.id)?;
        assert_eq!(gradient.dims(), param.dims());
        Some(gradient.into_data().try_to_vec().unwrap())
    }
}

/// The parameter itself.
#[derive(Debug)]
pub struct Weight;

impl Values for Weight {
    fn values<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Vec<f32>> {
        Some(param.val().into_data().try_to_vec().unwrap())
    }
}

impl<F: Values> ModuleVisitor for Read<'_, F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(name) = self.names.name_of(param.id) {
            let values = self
                .of
                .values(param)
                .unwrap_or_else(|| panic!("{name} has none"));
            let values = values.into_iter().map(f64::from).collect();
            self.found.insert(name.to_owned(), values);
        }
    }
}

/// Values of all parameters that have a name.
///
/// # Panics
/// When one has none.
pub fn read(vlm: &Vlm, names: &ParamNames, of: impl Values) -> ByName {
    let found = ByName::new();
    let mut read = Read { names, of, found };
    vlm.visit(&mut read);
    read.found
}

/// The last step of splitmix64.
fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Norm of `values`, and their products with random signs.
fn sketch(name: &str, values: &[f64]) -> Vec<f64> {
    let key = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |key, byte| {
        (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut found = vec![0.0; SIGNS + 1];
    for (at, value) in values.iter().enumerate() {
        found[0] += value * value;
        let bits = mixed(key.wrapping_add((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        for (k, sum) in found[1..].iter_mut().enumerate() {
            *sum += if bits >> k & 1 == 1 { -value } else { *value };
        }
    }
    found[0] = found[0].sqrt();
    found
}

/// How far values are from the golden's: of each parameter the norm of the difference, estimated from its products with random
/// signs (their mean square is its square), and the norm it should have.
///
/// # Panics
/// When the parameters are others.
pub fn apart(got: &ByName, want: &Value) -> BTreeMap<String, [f64; 2]> {
    let want = want.as_object().unwrap();
    assert_eq!(got.keys().collect::<Vec<_>>(), {
        let mut names: Vec<&String> = want.keys().collect();
        names.sort();
        names
    });
    let of = |(name, values): (&String, &Vec<f64>)| {
        let got = sketch(name, values);
        let want: Vec<f64> = serde_json::from_value(want[name].clone()).unwrap();
        let squares = got[1..]
            .iter()
            .zip(&want[1..])
            .map(|(a, b)| (a - b).powi(2));
        let difference = (squares.sum::<f64>() / SIGNS as f64).sqrt();
        (
            name.clone(),
            [difference.max((got[0] - want[0]).abs()), want[0]],
        )
    };
    got.iter().map(of).collect()
}

/// Norm of all differences, as a share of the norm of all.
pub fn whole(apart: &BTreeMap<String, [f64; 2]>) -> f64 {
    let sum = |at: usize| {
        apart
            .values()
            .map(|pair| pair[at].powi(2))
            .sum::<f64>()
            .sqrt()
    };
    sum(0) / sum(1)
}

/// The parameter whose difference is the largest share of its norm.
///
/// # Panics
/// Where there are none.
pub fn worst(apart: &BTreeMap<String, [f64; 2]>) -> (&str, f64) {
    let share = |[difference, norm]: &[f64; 2]| difference / norm.max(1e-9);
    let shares = apart
        .iter()
        .map(|(name, pair)| (name.as_str(), share(pair)));
    shares.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}
