//! A model on one page, in Markdown and HTML: what it is for, what it learnt from, how good it is, where it comes from.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use super::number::{self, NONE};
use super::visible;
use crate::error::{Error, Result};

/// All that a card says: plain data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelCard {
    /// The heading: the model's name.
    pub title: String,
    /// What it predicts, as a sentence.
    pub summary: String,
    /// Facts of the model and its file, by name.
    pub facts: Vec<CardLine>,
    /// What it learnt from.
    pub features: Vec<CardFeature>,
    /// How it was trained.
    pub parameters: Vec<CardLine>,
    /// The names of the figures in `scores`.
    pub figures: Vec<String>,
    /// How good it is, beside others.
    pub scores: Vec<CardScore>,
    /// What became of the rows.
    pub rows: Vec<CardLine>,
    /// The objects that the rows come from.
    pub sources: Vec<CardSource>,
    /// Digests, from the sources to the model.
    pub chain: Vec<CardLine>,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// A name and its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardLine {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A column that a model learnt from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardFeature {
    /// Its name.
    pub name: String,
    /// `number` or `category`.
    pub kind: String,
    /// Its unit of measure.
    pub unit: Option<String>,
    /// The range seen in training.
    pub range: Option<[f64; 2]>,
    /// The categories seen in training.
    pub categories: Vec<String>,
    /// How much it contributes, all features together one.
    pub importance: Option<f64>,
}

/// The figures of one predictor on one set of rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardScore {
    /// The predictor.
    pub name: String,
    /// The rows: `held out`, `out of bag`.
    pub rows: String,
    /// Its figures, in the order of [`ModelCard::figures`].
    pub values: Vec<Option<f64>>,
}

/// An object that rows come from, and what became of its records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardSource {
    /// `bucket/key`.
    pub object: String,
    /// The store's tag of this version.
    pub etag: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Records found.
    pub seen: u64,
    /// Records that became rows.
    pub written: u64,
    /// Records put aside.
    pub quarantined: u64,
    /// Rows dropped by a rule.
    pub dropped: u64,
}

/// Categories of a feature that a card names; of more it tells the number.
const MOST_CATEGORIES: usize = 12;

/// The card as one self-contained HTML page. Every text is escaped.
///
/// ```
/// use datalake_core::report::{ModelCard, card_html, card_markdown};
///
/// let card = ModelCard { title: "Food & Calories".to_owned(), ..ModelCard::default() };
/// assert!(card_html(&card)?.contains("<h1>Food &amp; Calories</h1>"));
/// assert!(card_markdown(&card)?.starts_with("# Food \\& Calories\n"));
/// # Ok::<(), datalake_core::Error>(())
/// ```
///
/// # Errors
/// [`Internal`](crate::ErrorKind::Internal) if the page cannot be put together, whatever the data.
pub fn card_html(card: &ModelCard) -> Result<String> {
    render(card, "card.html", include_str!("card.html"))
}

/// The card as Markdown. What would be markup in a text is escaped.
///
/// # Errors
/// As [`card_html`].
pub fn card_markdown(card: &ModelCard) -> Result<String> {
    render(card, "card.md", include_str!("card.md"))
}

#[derive(Serialize)]
struct View<'a> {
    card: &'a ModelCard,
    css: &'static str,
}

fn render(card: &ModelCard, name: &'static str, template: &'static str) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(
        |name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        },
    );
    environment.add_filter("count", number::count);
    environment.add_filter("number", |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), number::number));
    environment.add_filter("percent", |value: Option<f64>| {
        value.map_or_else(|| NONE.to_owned(), |share| number::percent(share, 1.0))
    });
    environment.add_filter("seen", |feature: Serde<CardFeature>| seen(&feature.0));
    environment.add_filter("md", |text: String| markdown(&text));
    let page = environment
        .add_template(name, template)
        .and_then(|()| environment.get_template(name)?.render(Serde(View { card, css: include_str!("style.css") })));
    let page = page.map_err(|cause| Error::internal("write", "a model card").with_source(cause))?;
    Ok(page.chars().map(visible).collect())
}

/// What a feature's values were in training.
fn seen(feature: &CardFeature) -> String {
    if let Some([low, high]) = feature.range {
        return format!("{} to {}", number::number(low), number::number(high));
    }
    let names = feature.categories.iter().take(MOST_CATEGORIES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match feature.categories.len() {
        0 => "no value".to_owned(),
        found if found > MOST_CATEGORIES => format!("{found} categories: {names}, …"),
        found => format!("{found} categories: {names}"),
    }
}

/// A text that stands for itself in Markdown, in one line.
fn markdown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\t' => plain.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' => plain.extend(['\\', letter]),
            _ => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;

    fn card() -> ModelCard {
        let line = |name: &str, value: &str| CardLine { name: name.to_owned(), value: value.to_owned() };
        let names = (0..30).map(|number| format!("group {number}")).collect();
        ModelCard {
            title: "calories <b>".to_owned(),
            summary: "A forest that predicts `energy_kcal`.".to_owned(),
            facts: vec![line("digest", "045d")],
            features: vec![
                CardFeature {
                    name: "fat_g|x".to_owned(),
                    kind: "number".to_owned(),
                    unit: Some("g".to_owned()),
                    range: Some([0.0, 99.5]),
                    importance: Some(0.75),
                    ..CardFeature::default()
                },
                CardFeature {
                    name: "group".to_owned(),
                    kind: "category".to_owned(),
                    categories: names,
                    ..CardFeature::default()
                },
            ],
            parameters: vec![line("n_estimators", "100")],
            figures: vec!["r2".to_owned(), "mae".to_owned()],
            scores: vec![CardScore {
                name: "forest".to_owned(),
                rows: "held out".to_owned(),
                values: vec![Some(0.91), None],
            }],
            rows: vec![line("learnt from", "800")],
            sources: vec![CardSource {
                object: "raw-data/foods.csv".to_owned(),
                seen: 12_345,
                ..CardSource::default()
            }],
            chain: vec![line("processed-data/foods.parquet", "77aa")],
            notes: vec!["Rows & <columns>".to_owned()],
        }
    }

    #[test]
    fn the_page_is_well_formed_and_every_text_is_escaped() {
        let page = card_html(&card()).unwrap();
        let mut reader = Reader::from_str(&page);
        loop {
            match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(_) => {}
                Err(cause) => panic!("{cause}: {page}"),
            }
        }
        assert!(page.contains("calories &lt;b&gt;") && !page.contains("<b>"), "{page}");
        for text in ["12,345", "0 to 99.5", "75.0 %", "0.91", "30 categories: group 0", "Rows &amp; &lt;columns&gt;"] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }

    #[test]
    fn markdown_has_tables_that_no_text_breaks() {
        let page = card_markdown(&card()).unwrap();
        assert!(page.starts_with("# calories \\<b\\>\n"), "{page}");
        assert!(page.contains("| fat\\_g\\|x | number | g | 0 to 99.5 | 75.0 % |\n"), "{page}");
        assert!(page.contains("| forest | held out | 0.91 | – |\n"), "{page}");
        assert!(page.contains("| raw-data/foods.csv | – | 0 | 12,345 | 0 | 0 | 0 |\n"), "{page}");
        assert!(page.contains("Rows \\& \\<columns\\>"), "{page}");
        assert!(!page.contains("\n\n\n"), "{page}");
    }
}
