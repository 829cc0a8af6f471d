//! Options in what core says, which writes them as pipeline files and Python have them, as they are typed here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use clap::{Command, CommandFactory};
use serde_json::Value;

use crate::cli::Cli;

/// A text with each option that is written `` `on_row_error = "quarantine"` `` as `` `--on-row-error quarantine` ``.
pub(crate) fn typed(text: &str) -> Cow<'_, str> {
    if !text.contains(" = ") {
        return Cow::Borrowed(text);
    }
    let flags = flags();
    // What stands between two backticks is every other part.
    let parts = text.split('`').enumerate().map(|(place, part)| match flag(part, &flags) {
        Some(flag) if place % 2 == 1 => Cow::Owned(flag),
        _ => Cow::Borrowed(part),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("`"))
}

/// What an error is about, as it is typed where it is an option: `` `max_bad_rows` `` is `` `--max-bad-rows` ``.
pub(crate) fn typed_subject(subject: &str) -> Option<String> {
    let name = subject.strip_prefix('`')?.strip_suffix('`')?.replace('_', "-");
    flags().get(&name).map(|flag| format!("`--{flag}`"))
}

/// The names of all flags, their own and others, with the one that the help calls each by.
fn flags() -> BTreeMap<String, String> {
    fn collect(command: &Command, flags: &mut BTreeMap<String, String>) {
        for argument in command.get_arguments() {
            let Some(own) = argument.get_long() else { continue };
            flags.insert(own.to_owned(), own.to_owned());
            for other in argument.get_all_aliases().into_iter().flatten() {
                // What is another name here may be the own one of a flag elsewhere.
                flags.entry(other.to_owned()).or_insert_with(|| own.to_owned());
            }
        }
        command.get_subcommands().for_each(|command| collect(command, flags));
    }
    let mut flags = BTreeMap::new();
    collect(&Cli::command(), &mut flags);
    flags
}

/// A flag with its value, if there is one of this name.
fn flag(option: &str, flags: &BTreeMap<String, String>) -> Option<String> {
    let (name, value) = option.split_once(" = ")?;
    let name = flags.get(&name.replace('_', "-"))?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let value = match serde_json::from_str(value).ok()? {
        Value::Bool(true) => return Some(format!("--{name}")),
        Value::Bool(false) => return flags.get(&format!("no-{name}")).map(|no| format!("--{no}")),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        value => text(&value),
    };
    // What begins with a hyphen would be taken for another flag.
    let between = if value.starts_with('-') { '=' } else { ' ' };
    Some(format!("--{name}{between}{}", quoted(&value)))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_told_as_they_are_typed() {
        for (said, is_typed) in [
            ("read with `on_row_error = \"quarantine\"` to go on", "read with `--on-row-error quarantine` to go on"),
            ("`nulls = [\"NA\", \"-\"]` and `thousands = \" \"`", "`--null 'NA,-'` and `--thousands ' '`"),
            ("`overwrite = true`, or `delimiter = \";\"`", "`--overwrite`, or `--sep ';'`"),
            ("`header = false`, and `overwrite = false`", "`--no-header`, and `overwrite = false`"),
            ("`decimal = \"either\"`, `to_delimiter = \",\"`", "`--decimal either`, `--to-sep ','`"),
            ("`max_bad_rows = 5`", "`--max-bad-rows 5`"),
            ("`nulls = [\"-\", \"NA\"]`", "`--null='-,NA'`"),
        ] {
            assert_eq!(typed(said), is_typed);
        }
        for other in ["on_row_error = \"fail\"", "the column `header` is `true`", "`a = 1`", "`rows = ", "a = b"] {
            assert_eq!(typed(other), other);
        }
        for (subject, flag) in [("`max_bad_rows`", "`--max-bad-rows`"), ("`bloom_filters`", "`--bloom-filter`")] {
            assert_eq!(typed_subject(subject).as_deref(), Some(flag));
        }
        assert_eq!((typed_subject("`x.csv`"), typed_subject("max_bad_rows")), (None, None));
    }
}
