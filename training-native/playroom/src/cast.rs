//! Casting: which identities, names and facts a sample plays with, before anything is drawn.

use crate::identity::Identity;
use crate::info::{self, Fact};
use crate::names;
use crate::rng::Rng;
use crate::sample::{SampleOptions, Task};
use crate::scene::MAX_THINGS;
use crate::split::Split;
use crate::tasks::Wish;
use crate::text;
use crate::wording::article;

/// A concept before it is drawn.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) facts: Vec<Fact>,
    pub(crate) info: String,
    pub(crate) present: bool,
}

/// Chooses identities, names and facts of all concepts of the prompt.
pub(crate) fn cast(rng: &mut Rng, options: &SampleOptions, wishes: &[Wish]) -> Vec<Role> {
    let least = |needed: bool| usize::from(needed);
    let present = rng
        .between(*options.present.start(), *options.present.end())
        .max(least(wishes.iter().any(|wish| wish.needs_present())))
        .min(MAX_THINGS - 1);
    let mut noise = rng
        .between(*options.noise.start(), *options.noise.end())
        .max(least(wishes.iter().any(|wish| wish.needs_absent())));
    let asks_info = wishes.iter().any(|wish| wish.task == Task::InfoQa);
    if asks_info && present + noise == 0 {
        noise = 1;
    }
    let mut roles: Vec<Role> = Vec::with_capacity(present + noise);
    for index in 0..present + noise {
        let taken: Vec<Identity> = roles.iter().map(|role| role.identity).collect();
        let shown = &taken[..index.min(present)];
        // Two look-alikes in one photo are rarer: they are the hardest case of all.
        let rate = options.lookalike_rate * if index < present { 0.3 } else { 1.0 };
        let identity = unused(rng, options.split, &taken, shown, rate);
        let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
        let name = names::fresh(rng, options.split, &names);
        let facts = info::facts(rng);
        roles.push(Role {
            name,
            identity,
            facts,
            info: String::new(),
            present: index < present,
        });
    }
    rng.shuffle(&mut roles);
    if asks_info && roles.iter().all(|role| role.facts.is_empty()) {
        let chosen = rng.below(roles.len());
        roles[chosen].facts = info::some(rng);
    }
    for role in &mut roles {
        let hint = rng
            .chance(0.1)
            .then(|| text::sentence(&article(&role.identity.brief())));
        role.info = info::line(hint, &role.facts);
    }
    roles
}

/// Adds things that are no concepts: as many as asked for, and at least one when the photo would be empty.
pub(crate) fn extras(
    rng: &mut Rng,
    options: &SampleOptions,
    cast: &[Role],
    members: &mut Vec<(Identity, Option<usize>)>,
) {
    let wanted = (0..2)
        .filter(|_| rng.chance(0.4 * options.difficulty))
        .count();
    let count = wanted
        .max(options.strangers)
        .max(usize::from(members.is_empty()))
        .min(MAX_THINGS - members.len());
    let mut taken: Vec<Identity> = cast.iter().map(|role| role.identity).collect();
    for _ in 0..count {
        let shown: Vec<Identity> = members.iter().map(|member| member.0).collect();
        let identity = unused(
            rng,
            options.split,
            &taken,
            &shown,
            options.lookalike_rate * 0.4,
        );
        taken.push(identity);
        members.push((identity, None));
    }
}

/// An identity not in `taken`; with probability `rate` a near miss of one in `near`.
fn unused(
    rng: &mut Rng,
    split: Split,
    taken: &[Identity],
    near: &[Identity],
    rate: f32,
) -> Identity {
    if !near.is_empty() && rng.chance(rate) {
        let close = rng
            .pick(near)
            .lookalike(rng)
            .filter(|identity| !taken.contains(identity));
        if let Some(identity) = close {
            return identity;
        }
    }
    loop {
        let identity = Identity::random(rng, split);
        if !taken.contains(&identity) {
            return identity;
        }
    }
}
