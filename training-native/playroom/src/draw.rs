//! From an identity in a pose to a list of shapes, in a unit frame: x right, y down, about -1 to 1.

pub(crate) mod backdrop;
mod face;
mod far;
mod home;
mod indoor;
mod outdoor;
pub(crate) mod pattern;
pub(crate) mod pen;
mod pets;
pub(crate) mod prop;
pub(crate) mod shape;
mod toys;
mod wear;
mod wild;

use crate::identity::{Category, Identity};
use crate::pose::Pose;
use pen::Pen;

/// How the limbs are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Legs {
    Stand,
    Sit,
    Leap,
}

/// What a figure needs to know about its pose.
#[derive(Debug, Clone, Copy)]
struct Stance {
    legs: Legs,
    asleep: bool,
    pose: Pose,
}

impl Stance {
    fn of(pose: Pose) -> Self {
        let legs = match pose {
            Pose::Sitting | Pose::Sleeping => Legs::Sit,
            Pose::Jumping | Pose::Flying => Legs::Leap,
            _ => Legs::Stand,
        };
        Self {
            legs,
            asleep: pose == Pose::Sleeping,
            pose,
        }
    }
}

/// Where accessories and markings go on a figure.
#[derive(Debug, Clone, Copy)]
struct Anchors {
    /// Middle of the top of the head.
    top: (f32, f32),
    /// Width of the head.
    head: f32,
    /// Middle between the eyes.
    eyes: (f32, f32),
    /// Distance between the eyes.
    gap: f32,
    /// Middle of the neck, or where a scarf would be tied.
    neck: (f32, f32),
    /// Width of the neck.
    collar: f32,
    /// Middle of the mark.
    chest: (f32, f32),
    /// Half the size of the mark.
    mark: f32,
}

/// The shapes of a thing, back to front.
pub(crate) fn figure(identity: &Identity, pose: Pose) -> Pen {
    let mut pen = Pen::new(identity);
    let stance = Stance::of(pose);
    let draw = match identity.category {
        Category::Cat => pets::cat,
        Category::Dog => pets::dog,
        Category::Rabbit => pets::rabbit,
        Category::Bear => pets::bear,
        Category::Bird => wild::bird,
        Category::Fish => wild::fish,
        Category::Dragon => wild::dragon,
        Category::Robot => toys::robot,
        Category::Doll => toys::doll,
        Category::Car => toys::car,
        Category::Ball => toys::ball,
        Category::Backpack => toys::backpack,
        Category::Mug => home::mug,
        Category::Teapot => home::teapot,
        Category::Lamp => home::lamp,
        Category::Plant => home::plant,
    };
    let anchors = draw(&mut pen, stance);
    wear::accessory(&mut pen, identity.accessory, &anchors);
    // After the accessory: a scarf must not hide a mark that tells two look-alikes apart.
    wear::marking(&mut pen, identity.marking, &anchors);
    pen
}
