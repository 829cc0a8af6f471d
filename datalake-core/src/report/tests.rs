//! The page as a whole: well-formed, escaped, complete, whatever the data.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::demo::demo;
use super::*;

/// The names of all elements, if every one of them is closed in turn and every attribute is quoted.
fn elements(page: &str) -> Vec<String> {
    let mut reader = Reader::from_str(page);
    reader.config_mut().check_end_names = true;
    let (mut names, mut open) = (Vec::new(), 0_i64);
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error} at {}", reader.error_position())) {
            Event::Start(element) => {
                open += 1;
                element.attributes().for_each(|attribute| drop(attribute.unwrap()));
                names.push(String::from_utf8(element.name().as_ref().to_vec()).unwrap());
            }
            Event::Empty(element) => {
                element.attributes().for_each(|attribute| drop(attribute.unwrap()));
                names.push(String::from_utf8(element.name().as_ref().to_vec()).unwrap());
            }
            Event::End(_) => open -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, 0, "elements stay open");
    names
}

fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|found| *found == name).count()
}

#[test]
fn the_demo_page_is_well_formed_and_complete() {
    let page = html(&demo()).unwrap();
    let names = elements(&page);
    assert_eq!(count(&names, "section"), 1 + 2 + 1 + 1 + 1);
    assert_eq!(count(&names, "svg"), 6);
    assert_eq!(count(&names, "table"), 2 + 1 + 2 + 1 + 1);
    assert_eq!(count(&names, "script"), 0);
    for text in [
        "The linear baseline is better than the forest: MAE 5.06 against 5.51 kcal.",
        "The forest is better than what is simpler: accuracy 0.852 against 0.701 of the logistic baseline.",
        "synthetic data",
        "5.6 ± 0.31",
        "ragged 4, type 4, utf8 4, energy_known 8",
        "3,553 rows in, 256 duplicates removed, 3,297 rows out",
        "9ab3d29ab3d2",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn the_page_asks_for_nothing_outside_of_itself() {
    let page = html(&demo()).unwrap();
    let without_names = page.replace("http://www.w3.org/", "");
    for reference in ["http:", "https:", "src=", "url(", "@import", "<link"] {
        assert!(!without_names.contains(reference), "{reference}");
    }
}

#[test]
fn every_name_is_escaped() {
    let hostile = "</title><script>alert('x')</script><b a=\"1\" onload=x> & \u{0} \u{7}{{ 7*7 }}";
    let text = serde_json::to_string(&demo()).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    poison(&mut json, hostile);
    let report: Report = serde_json::from_value(json).unwrap();
    let page = html(&report).unwrap();
    let names = elements(&page);
    assert_eq!(names, elements(&html(&demo()).unwrap()));
    assert!(!page.contains("alert('x')") && !page.contains('\u{0}') && page.contains("{{ 7*7 }}"));
}

/// Replaces every free text, but not the names of variants.
fn poison(value: &mut serde_json::Value, hostile: &str) {
    match value {
        serde_json::Value::String(text) => hostile.clone_into(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| poison(item, hostile)),
        serde_json::Value::Object(entries) => {
            let free = entries.iter_mut().filter(|(key, value)| !is_variant(key, value));
            free.for_each(|(_, value)| poison(value, hostile));
        }
        _ => {}
    }
}

fn is_variant(key: &str, value: &serde_json::Value) -> bool {
    let lineage = ["source", "table", "model", "predictions"];
    matches!(key, "status" | "task") || key == "role" && !lineage.contains(&value.as_str().unwrap_or(""))
}

#[test]
fn an_empty_report_is_a_page() {
    let names = elements(&html(&Report::default()).unwrap());
    assert_eq!((count(&names, "h1"), count(&names, "table")), (1, 0));
}

#[test]
fn numbers_that_are_none_do_not_break_the_page() {
    let mut report = demo();
    for model in &mut report.models {
        model.scores.iter_mut().flat_map(|line| &mut line.values).for_each(|value| *value = Some(f64::NAN));
        model.importances.iter_mut().for_each(|line| line.share = f64::INFINITY);
        match &mut model.evaluation {
            Evaluation::Regression { pairs } => pairs.iter_mut().for_each(|pair| pair[0] = f64::NAN),
            Evaluation::Classification { counts, .. } => counts.clear(),
            Evaluation::None => {}
        }
    }
    report.steps.iter_mut().for_each(|step| step.seconds = f64::NAN);
    report.prepares[0].columns.iter_mut().for_each(|column| column.mean = Some(f64::NAN));
    let page = html(&report).unwrap();
    elements(&page);
    assert!(!page.contains("NaN") && !page.contains("inf<"), "a number that is none shows");
}

#[test]
fn a_report_survives_json() {
    let report = Report { models: Vec::new(), ..demo() };
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn a_balance_that_does_not_hold_is_shown() {
    let mut report = demo();
    assert!(!html(&report).unwrap().contains("does not hold"));
    report.prepares[0].sources[0].seen += 1;
    assert_eq!(html(&report).unwrap().matches("does not hold").count(), 1);
}
