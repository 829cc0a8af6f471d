//! Options have one name: that of the field in core, as a flag of `convert` and as a keyword of Python.

use std::collections::BTreeSet;

use clap::CommandFactory;
use datalake_core::format::{ReadOptions, WriteOptions};
use serde::Serialize;

use crate::cli::Cli;

/// What Python offers.
const STUBS: &str = include_str!("../../datalake-py/python/datalake/_datalake.pyi");

type Names = BTreeSet<String>;

/// What `convert` does not offer under the name of the field, and why: of how to read, and of how to write. `--compression` is
/// that of what is written; what is read says its own by its first bytes.
const NO_FLAGS: [&[(&str, &str)]; 2] = [
    &[
        ("format", "`--from`, as commands call it"),
        ("text", "types that nobody asks for can be declared"),
        ("batch_rows", "no result depends on it"),
        ("infer", "the types found are always those of the whole"),
        ("row_number", "for programs that go back to a record"),
    ],
    &[
        ("format", "`--to`, as commands call it"),
        ("row_group_rows", "for programs that know who reads the file"),
        ("zstd_level", "`--compression 'zstd(3)'`"),
        ("gzip_level", "`--compression 'gzip(9)'`"),
        ("metadata", "for programs that read it again"),
    ],
];

/// The same of Python.
const NO_KEYWORDS: [&[(&str, &str)]; 2] = [
    &[("batch_rows", "tables are read whole"), ("infer", "the types found are always those of the whole")],
    &[
        ("format", "`to`, as commands call it"),
        ("gzip_level", "`to_compression=\"gzip(9)\"`"),
        ("metadata", "for programs that read it again"),
    ],
];

/// The fields of options, but those that no document has.
fn fields(options: &impl Serialize) -> Names {
    let document = serde_json::to_value(options).unwrap();
    document.as_object().unwrap().keys().cloned().collect()
}

/// The flags of a command with all their names, as fields have them.
fn flags(command: &str) -> Names {
    let cli = Cli::command();
    let command = cli.find_subcommand(command).unwrap();
    let names = command.get_arguments().flat_map(|argument| {
        let others = argument.get_all_aliases().unwrap_or_default();
        argument.get_long().into_iter().chain(others).map(|name| name.replace('-', "_")).collect::<Vec<_>>()
    });
    names.collect()
}

/// The names that are annotated in the stubs between two lines, which begin so.
fn annotated(from: &str, to: &str) -> Names {
    let lines =
        STUBS.lines().skip_while(|line| !line.starts_with(from)).skip(1).take_while(|line| !line.starts_with(to));
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let names = lines.filter_map(|line| line.strip_prefix("    ")?.split_once(": ").map(|(name, _)| name));
    let names: Names = names.filter(is_name).map(ToOwned::to_owned).collect();
    assert!(!names.is_empty(), "{from}");
    names
}

/// Sees that all fields are offered, those of how to write with `to_` where they are said of how to read as well, but for
/// those that are excepted, which are not.
fn all_are_offered(offered: &Names, excepted: [&[(&str, &str)]; 2]) {
    let [read, write] = [fields(&ReadOptions::default()), fields(&WriteOptions::default())];
    for (names, excepted, is_read) in [(&read, excepted[0], true), (&write, excepted[1], false)] {
        for (name, _) in excepted {
            assert!(names.contains(*name), "{name} is no option");
        }
        for name in names {
            let bare = (is_read || !read.contains(name)) && offered.contains(name);
            let is_offered = bare || !is_read && offered.contains(&format!("to_{name}"));
            let is_excepted = excepted.iter().any(|(other, _)| other == name);
            assert!(is_offered != is_excepted, "{name}, read: {is_read}, offered: {is_offered}");
        }
    }
}

#[test]
fn the_flags_of_convert_are_called_as_the_fields() {
    all_are_offered(&flags("convert"), NO_FLAGS);
}

#[test]
fn the_keywords_of_python_are_called_as_the_fields() {
    let read = annotated("class _ReadOptions", "class ");
    let of_convert = annotated("class _ConvertOptions", "class ").into_iter().chain(annotated("def convert(", ") ->"));
    all_are_offered(&of_convert.chain(read.iter().cloned()).collect(), NO_KEYWORDS);
    // Nor is there a keyword that is no field: the limit of bad rows is that of who takes them.
    let known = fields(&ReadOptions::default());
    let unknown: Vec<&String> = read.difference(&known).collect();
    assert_eq!(unknown, ["max_bad_rows"]);
    assert!(annotated("class _WriteOptions", "class ").is_subset(&fields(&WriteOptions::default())));
}
