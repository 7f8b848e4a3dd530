//! Pieces of templates against transformers' own environment (fixtures by `tests/fixtures/generate/jinja.py`), character by
//! character, and templates that ask for too much.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

const GOLDEN: &str = include_str!("../../../../tests/fixtures/text/jinja.json");

fn run(source: &str, context: &Json, now: Option<LocalTime>) -> Result<String, String> {
    let context: Vec<(&'static str, Value)> = context
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let name: &'static str = name.clone().leak();
            (name, Value::from_serialize(value))
        })
        .collect();
    let template = Template::new(source)?;
    template.render(context, now).map_err(|e| e.to_string())
}

#[test]
fn templates_render_as_in_transformers() {
    let golden: Json = serde_json::from_str(GOLDEN).unwrap();
    let now = LocalTime {
        seconds: golden["seconds"].as_i64().unwrap(),
        microsecond: golden["microsecond"].as_u64().unwrap() as u32,
        offset_minutes: 0,
    };
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 140, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let source = case["template"].as_str().unwrap();
        let found = run(source, &golden["context"], Some(now));
        if found.as_deref().ok() != case["text"].as_str() {
            wrong.push(format!(
                "{source:?}\n want {}\n got  {found:?}",
                case["text"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Days before and after leap days, ends of years and centuries, times before 1970.
#[test]
fn days_are_those_of_the_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01 Thu 001 01 1970"),
        (-1, "1969-12-31 Wed 365 01 1970"),
        (951_782_400, "2000-02-29 Tue 060 09 2000"),
        (1_709_251_199, "2024-02-29 Thu 060 09 2024"),
        (1_709_251_200, "2024-03-01 Fri 061 09 2024"),
        (1_735_603_200, "2024-12-31 Tue 366 01 2025"),
        (1_609_459_200, "2021-01-01 Fri 001 53 2020"),
        (4_107_542_400, "2100-03-01 Mon 060 09 2100"),
    ] {
        let now = LocalTime {
            seconds,
            ..LocalTime::default()
        };
        assert_eq!(strftime::strftime("%F %a %j %V %G", &now), expected);
    }
}

#[test]
fn a_date_that_nobody_gave_is_not_made_up() {
    let error = run("{{ strftime_now('%Y') }}", &serde_json::json!({}), None);
    assert!(error.unwrap_err().contains("none was given"));
}

#[test]
fn what_fills_memory_or_the_stack_is_refused() {
    let twice = |line: &str| line.repeat(60);
    let wide = "{% set x = 'aaaaaaaaaaaaaaaa' %}";
    let deep = "{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}";
    for source in [
        format!("{wide}{}", twice("{% set x = x + x %}")),
        format!("{wide}{}", twice("{% set x = x ~ x %}")),
        format!("{wide}{}", twice("{% set x %}{{ x }}{{ x }}{% endset %}")),
        format!("{wide}{}", twice("{% set x = x | replace('a', 'aa') %}")),
        format!("{wide}{}", twice("{% set x = x.replace('', 'a') %}")),
        format!("{wide}{}", twice("{% set x = [x, x] | join %}")),
        format!("{wide}{}", twice("{% set x = ''.join([x, x]) %}")),
        format!("{wide}{}", twice("{% set x = '%s%s' % (x, x) %}")),
        format!("{wide}{}", twice("{% set x = '{}{}'.format(x, x) %}")),
        format!("{wide}{}", twice("{% set x = x | tojson | tojson %}")),
        format!("{wide}{}", twice("{% set x = [x, x] | string %}")),
        format!("{wide}{}", twice("{% set x = [x, x] | tojson %}")),
        format!("{}{{{{ x }}}}", "{% set x = [x, x, x] %}".repeat(30)),
        "{% set x = [1] %}".to_owned() + &twice("{% set x = x + x %}"),
        "{% set x = [1] * 1000000000 %}".to_owned(),
        "{{ 'x' * 1000000000 }}".to_owned(),
        "{{ 'x'.center(1000000000) }}".to_owned(),
        "{{ 'x' | center(1000000000) }}".to_owned(),
        "{{ 'x'.zfill(1000000000) }}".to_owned(),
        "{{ '%*d' % (1000000000, 1) }}".to_owned(),
        "{{ [[[1]]] | tojson(indent=1000000000) }}".to_owned(),
        format!(
            "{{% for i in range(90000) %}}{}{{% endfor %}}",
            "x".repeat(9000)
        ),
        format!(
            "{{% set y %}}{{% for i in range(90000) %}}{}{{% endfor %}}{{% endset %}}",
            "x".repeat(9000)
        ),
        format!("{{% set ns = namespace(x=1) %}}{deep}"),
        "{% set x = 1 %}".to_owned() + &"{% set x = [x] %}".repeat(50_000),
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}".to_owned(),
        "{% set ns = namespace() %}{% set ns.x = [{'a': ns}] %}{{ ns.x }}".to_owned(),
        "{% macro f(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}".to_owned(),
        format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("{{{{ {}1 }}}}", "-".repeat(5_000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(5_000), "]".repeat(5_000)),
        "{% if true %}".repeat(5_000),
        format!("{{{{ x{} }}}}", "|upper".repeat(5_000)),
        format!("{{{{ x{} }}}}", " if 1 else 2".repeat(5_000)),
        format!("{{{{ {}true }}}}", "1 if 1 else ".repeat(5_000)),
        format!(
            "{{% for {}x{} in [] %}}{{% endfor %}}",
            "(".repeat(25_000),
            ")".repeat(25_000)
        ),
        format!(
            "{{% set {}x{} = 1 %}}",
            "(".repeat(25_000),
            ")".repeat(25_000)
        ),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(12_000)),
        // What takes time and no memory.
        "{% macro f(x, y, n) %}{% if n > 0 %}{{ f([x, x], [y, y], n - 1) }}{% elif x == y %}{% endif %}{% endmacro %}{{ f(1, 1, 21) }}"
            .to_owned(),
        "{% macro f(x, n) %}{% if n > 0 %}{{ f([x, x], n - 1) }}{% elif 2 in x %}{% endif %}{% endmacro %}{{ f(1, 21) }}"
            .to_owned(),
        format!("{wide}{}{{% for i in range(100) %}}{{% if x.isalpha() %}}{{% endif %}}{{% endfor %}}", "{% set x = x * 2 %}".repeat(18)),
        format!("{wide}{}{{% for i in range(100) %}}{{% if x == x ~ '' %}}{{% endif %}}{{% endfor %}}", "{% set x = x * 2 %}".repeat(18)),
    ] {
        let found = run(&source, &serde_json::json!({}), None);
        assert!(found.is_err(), "{:.120}", source);
    }
}

#[test]
fn letters_of_a_long_text_are_stripped_at_once() {
    let source = "{{ ('a' * 2000000).strip('b' * 1999999 ~ 'a') }}{{ 'xyax'.strip('xy') }}";
    assert_eq!(run(source, &serde_json::json!({}), None).unwrap(), "a");
}

#[test]
fn long_chains_are_no_deep_nests() {
    let sum = format!("{{{{ {} }}}}", vec!["1"; 500].join(" + "));
    assert_eq!(run(&sum, &serde_json::json!({}), None).unwrap(), "500");
    let texts = format!("{{{{ {} }}}}", vec!["'a'"; 500].join(" ~ "));
    assert_eq!(
        run(&texts, &serde_json::json!({}), None).unwrap(),
        "a".repeat(500)
    );
    let filters = format!("{{{{ 'a'{} }}}}", "|upper".repeat(20));
    assert_eq!(run(&filters, &serde_json::json!({}), None).unwrap(), "A");
    let cases = "{% if x == 1 %}a{% elif x == 2 %}b".to_owned() + &"{% elif x == 3 %}c".repeat(60);
    assert_eq!(
        run(
            &format!("{cases}{{% else %}}d{{% endif %}}"),
            &serde_json::json!({}),
            None
        )
        .unwrap(),
        "d"
    );
}

/// Values that a filter could trip over.
const VALUES: [&str; 22] = [
    "''",
    "'abc'",
    "'é東🦊\\n'",
    "0",
    "-1",
    "1",
    "2",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "1.5",
    "none",
    "true",
    "[]",
    "[1, 'a', none]",
    "{}",
    "{'a': 1, 'b': [2]}",
    "()",
    "(1, 'b')",
    "nowhere",
    "range(3)",
    "namespace(a=1)",
];
const FILTERS: [&str; 45] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "center",
    "chain",
    "count",
    "default",
    "dictsort",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "wordcount",
];
const METHODS: [&str; 33] = [
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "rsplit",
    "splitlines",
    "partition",
    "rpartition",
    "startswith",
    "endswith",
    "removeprefix",
    "removesuffix",
    "replace",
    "find",
    "rfind",
    "index",
    "count",
    "join",
    "center",
    "ljust",
    "rjust",
    "zfill",
    "title",
    "swapcase",
    "format",
    "get",
    "items",
    "keys",
    "values",
    "isdigit",
    "isupper",
    "upper",
    "capitalize",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// In a browser a panic of the library ends the worker: whatever makes one is refused before.
    #[test]
    fn the_library_never_panics(
        value in prop::sample::select(&VALUES[..]),
        kind in 0..6,
        which in any::<prop::sample::Index>(),
        args in prop::collection::vec(prop::sample::select(&VALUES[..]), 0..4),
        operator in prop::sample::select(&["+", "-", "*", "/", "//", "%", "**", "~", "in", "==", "<", "and"][..]),
    ) {
        let arg = |at: usize| args.get(at).copied().unwrap_or("none");
        let all = args.join(", ");
        let expression = match kind {
            0 => format!("{value} | {}({all})", FILTERS[which.index(FILTERS.len())]),
            1 => format!("({value}).{}({all})", METHODS[which.index(METHODS.len())]),
            2 => format!("({value})[{}:{}:{}]", arg(0), arg(1), arg(2)),
            3 => format!("{value} {operator} {}", arg(0)),
            4 => format!("({value})[{}]", arg(0)),
            _ => format!("({value} | {}({all}) | list)[0]", FILTERS[which.index(FILTERS.len())]),
        };
        for source in [
            format!("{{{{ {expression} }}}}"),
            format!("{{% for x in {expression} %}}{{{{ x }}}}{{{{ loop.index }}}}{{% endfor %}}{{{{ ({expression}) | tojson }}}}"),
        ] {
            if let Err(problem) = run(&source, &serde_json::json!({}), None) {
                prop_assert!(!problem.contains("the template library failed"), "{}", source);
            }
        }
    }
}
