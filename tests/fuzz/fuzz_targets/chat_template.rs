//! Any text as a chat template, rendered over chats with photos, with and without room for an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::text::{ChatTemplate, Message, Part, Specials};
use namelens_fuzz::within;

/// What one template may hold at a time: a rendering makes at most 64 MiB of text and values in all, which the library may
/// hold several times over on their way.
const LIMIT: usize = 1 << 29;

fuzz_target!(init: {
    // The engine catches the template library's own panics; libFuzzer's hook would end the run before it can.
    std::panic::set_hook(Box::new(|_| ()));
}, |data: &[u8]| {
    let Ok(source) = std::str::from_utf8(data) else {
        return;
    };
    within(256 * data.len() + LIMIT, || {
        let Ok(template) = ChatTemplate::new(source) else {
            return;
        };
        for messages in [chat(), chat()[..1].to_vec()] {
            for prompt in [true, false] {
                let _ = template.render(&messages, prompt, &specials());
            }
        }
    });
});

fn chat() -> Vec<Message> {
    let turn = |role: &str, content| Message {
        role: role.into(),
        content,
    };
    let text = |text: &str| Part::Text(text.into());
    vec![
        turn(
            "user",
            vec![Part::Image, text("Who {{ is }} this <image>?")],
        ),
        turn("assistant", vec![text("Bo.")]),
        turn("user", vec![text("Where?"), Part::Image]),
        turn("system", vec![text("Be brief.")]),
    ]
}

fn specials() -> Specials {
    Specials {
        bos: "<s>".into(),
        eos: "</s>".into(),
        pad: "<pad>".into(),
        image: "<image>".into(),
    }
}
