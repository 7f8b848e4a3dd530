//! One type over the image processors of all families, chosen by what the configuration says.

use super::Rgb8;
use super::config::Config;
use super::fixed::Fixed;
use super::frame::{Frame, Processed};
use super::idefics3::Idefics3;
use super::naflex::Naflex;
use super::normalize::Levels;
use super::qwen::Qwen;
use crate::class_defaults::Taken;
use crate::text::PhotoLayout;
use crate::{Error, Result};

/// How photos are prepared for one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessor {
    kind: Kind,
    levels: Levels,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Idefics3(Idefics3),
    Qwen(Qwen),
    Naflex(Naflex),
    Fixed(Fixed),
}

/// The files that may hold an image processor, in the reference's order: the newer holds it under
/// `image_processor`, or not at all.
const FILES: [&str; 2] = ["processor_config.json", "preprocessor_config.json"];
const SUPPORTED: &str = "Idefics3ImageProcessor, SmolVLMImageProcessor, Qwen2VLImageProcessor, \
     SiglipImageProcessor, Siglip2ImageProcessor, CLIPImageProcessor, BlipImageProcessor, BitImageProcessor";

impl ImageProcessor {
    /// The files of a checkpoint folder that [`ImageProcessor::from_folder`] asks for; one of them is enough.
    pub const FILES: [&'static str; 2] = FILES;

    /// Reads a `preprocessor_config.json`, or a `processor_config.json` that holds one under
    /// `image_processor`; `file` names it in errors. Absent keys take the defaults of the type.
    ///
    /// # Errors
    /// [`Error::Config`] with the key that cannot be used; `image_processor_type` when it is of no
    /// supported type.
    pub fn from_json(file: &str, json: &str) -> Result<Self> {
        Self::of(&classed(Config::parse(file, json)?)?)
    }

    /// Reads the image processor of a checkpoint folder; `read` gives the text of a file, if there.
    ///
    /// # Errors
    /// As [`Self::from_json`], and when the folder has no image processor.
    pub fn from_folder(read: &dyn Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let (file, json) = Self::source(read)?;
        Self::from_json(file, &json)
    }

    /// The file of a checkpoint folder that holds the image processor, and its text.
    pub(super) fn source(
        read: &dyn Fn(&str) -> Result<Option<String>>,
    ) -> Result<(&'static str, String)> {
        for file in FILES {
            let Some(json) = read(file)? else { continue };
            if file == FILES[1] || Config::parse(file, &json)?.nested() {
                return Ok((file, json));
            }
        }
        Err(Error::Config {
            file: FILES[1].into(),
            key: "(whole file)".into(),
            problem: "is missing from the model; take the folder whole".into(),
        })
    }

    /// [`Self::defaults_taken`] of the file of a checkpoint folder that holds the image processor.
    ///
    /// # Errors
    /// As [`Self::from_folder`].
    pub fn defaults_of_folder(read: &dyn Fn(&str) -> Result<Option<String>>) -> Result<Vec<Taken>> {
        let (file, json) = Self::source(read)?;
        Self::defaults_taken(file, &json)
    }

    /// What a file of an image processor leaves to its class in `transformers`.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn defaults_taken(file: &str, json: &str) -> Result<Vec<Taken>> {
        let config = classed(Config::parse(file, json)?)?;
        Self::of(&config)?;
        Ok(config.taken())
    }

    fn of(config: &Config<'_>) -> Result<Self> {
        let kind = match config.class() {
            "Idefics3ImageProcessor" | "SmolVLMImageProcessor" => {
                Kind::Idefics3(Idefics3::from_config(config)?)
            }
            "Qwen2VLImageProcessor" => Kind::Qwen(Qwen::from_config(config)?),
            "Siglip2ImageProcessor" => Kind::Naflex(Naflex::from_config(config)?),
            "SiglipImageProcessor"
            | "CLIPImageProcessor"
            | "BlipImageProcessor"
            | "BitImageProcessor" => Kind::Fixed(Fixed::from_config(config)?),
            other => {
                return Err(config.fail(
                    "image_processor_type",
                    format!("`{other}` is not supported; supported are {SUPPORTED}"),
                ));
            }
        };
        Ok(Self {
            kind,
            levels: Levels::from_config(config)?,
        })
    }

    /// The same processor with splitting into tiles on or off, as a caller may choose a photo at a
    /// time; processors that never split stay as they are.
    pub fn with_image_splitting(mut self, split: bool) -> Self {
        if let Kind::Idefics3(idefics3) = &mut self.kind {
            idefics3.do_image_splitting = split;
        }
        self
    }

    /// Width and height of every frame, when they are one number whatever the photo.
    pub fn side(&self) -> Option<usize> {
        match &self.kind {
            Kind::Idefics3(idefics3) => Some(idefics3.tile as usize),
            Kind::Fixed(fixed) => fixed.side().map(|side| side as usize),
            Kind::Qwen(_) | Kind::Naflex(_) => None,
        }
    }

    /// What the sides of frames are multiples of, when frames follow the photo's shape: the patch
    /// (NaFlex), or the patch times the patches merged a side (Qwen), in pixels.
    pub fn unit(&self) -> Option<usize> {
        match &self.kind {
            Kind::Qwen(qwen) => Some(qwen.unit() as usize),
            Kind::Naflex(naflex) => Some(naflex.patch() as usize),
            Kind::Idefics3(_) | Kind::Fixed(_) => None,
        }
    }

    /// How a prompt shows a photo: its tiles, or (where frames follow the photo's shape) one visual
    /// token for each [`Self::unit`] squared.
    pub fn layout(&self, processed: &Processed) -> PhotoLayout {
        match self.unit() {
            Some(unit) => {
                let tokens = |frame: &Frame| (frame.height / unit) * (frame.width / unit);
                PhotoLayout::Tokens(processed.frames.iter().map(tokens).sum())
            }
            None => PhotoLayout::Tiles {
                rows: processed.rows,
                cols: processed.cols,
            },
        }
    }

    /// Whether [`Self::process_whole`] can prepare photos: with processors that resize once and perhaps cut.
    pub fn can_process_whole(&self) -> bool {
        matches!(self.kind, Kind::Fixed(_))
    }

    /// One photo at this width and height, whole: resampled and normalised as the configuration says, whatever it says of sizes
    /// and of cutting. For encoders that read photos of any size.
    ///
    /// # Errors
    /// [`Error::Image`] when `photo` is inconsistent or the size is none; [`Error::Config`] unless
    /// [`Self::can_process_whole`].
    pub fn process_whole(&self, photo: &Rgb8, [width, height]: [u32; 2]) -> Result<Frame> {
        photo.check()?;
        match &self.kind {
            Kind::Fixed(fixed) => fixed.whole(photo, [width, height], &self.levels),
            _ => Err(Error::Config {
                file: FILES[1].into(),
                key: "image_processor_type".into(),
                problem: "makes frames of its own, and photos are wanted whole at any size; BitImageProcessor does that".into(),
            }),
        }
    }

    /// Resizes, cuts and normalises one photo. Frames are pictures: the model cuts them into patches.
    ///
    /// # Errors
    /// [`Error::Image`] when `photo` is inconsistent, or has a shape or size the model cannot take.
    pub fn process(&self, photo: &Rgb8) -> Result<Processed> {
        photo.check()?;
        match &self.kind {
            Kind::Idefics3(idefics3) => idefics3.process(photo, &self.levels),
            Kind::Qwen(qwen) => qwen.process(photo, &self.levels),
            Kind::Naflex(naflex) => naflex.process(photo, &self.levels),
            Kind::Fixed(fixed) => fixed.process(photo, &self.levels),
        }
    }
}

/// A configuration with the class that it names or that its keys tell.
fn classed(config: Config<'_>) -> Result<Config<'_>> {
    let name = match config.type_name()? {
        Some(name) => name,
        None => guess(&config).ok_or_else(|| {
            config.fail(
                "image_processor_type",
                format!("is missing, and no other key tells it; name one of {SUPPORTED}"),
            )
        })?,
    };
    Ok(config.of_class(name))
}

/// The type a configuration without a name is of, told by keys that only one type has.
fn guess(config: &Config<'_>) -> Option<String> {
    let signs = [
        ("max_image_size", "Idefics3ImageProcessor"),
        ("do_image_splitting", "Idefics3ImageProcessor"),
        ("merge_size", "Qwen2VLImageProcessor"),
        ("temporal_patch_size", "Qwen2VLImageProcessor"),
        ("max_num_patches", "Siglip2ImageProcessor"),
        ("crop_size", "CLIPImageProcessor"),
        ("do_center_crop", "CLIPImageProcessor"),
    ];
    let sign = signs.iter().find(|(key, _)| config.has(key));
    sign.map(|(_, name)| (*name).to_owned())
}
