//! A run as one HTML page: no script, no request, light and dark, ready to print.
//!
//! [`html`] is a pure function of a [`Report`], which is plain data.

mod card;
mod charts;
mod data;
#[cfg(test)]
#[path = "../../examples/report/demo.rs"]
mod demo;
mod number;
mod svg;
mod verdict;
mod view;

pub use card::{CardFeature, CardLine, CardScore, CardSource, ModelCard, card_html, card_markdown};
pub use data::{
    ColumnLine, Combine, Evaluation, Harm, Harms, Importance, LineageLine, Metric, ModelPart, Parameter, PreparePart,
    Report, Role, ScoreLine, SourceLine, Status, StepLine,
};

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};

use crate::error::{Error, Result};

/// The name decides that everything is escaped as HTML.
const PAGE: &str = "page.html";

/// The page of a run. Every text of the report is escaped.
///
/// ```
/// use datalake_core::report::{Report, html};
///
/// let report = Report { title: "Food & Calories".to_owned(), run: "20260101-1".to_owned(), ..Report::default() };
/// let page = html(&report)?;
/// assert!(page.contains("<h1>Food &amp; Calories</h1>"));
/// # Ok::<(), datalake_core::Error>(())
/// ```
///
/// # Errors
/// [`Internal`](crate::ErrorKind::Internal) if the page cannot be put together, whatever the data.
pub fn html(report: &Report) -> Result<String> {
    let page = render(report).map_err(|cause| Error::internal("write", "the report").with_source(cause))?;
    Ok(page.chars().map(visible).collect())
}

fn render(report: &Report) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("count", number::count);
    environment.add_template(PAGE, include_str!("page.html"))?;
    environment.get_template(PAGE)?.render(Serde(view::View::new(report)))
}

/// Control characters, which no page may hold, become visible.
fn visible(letter: char) -> char {
    if letter.is_control() && letter != '\n' { char::REPLACEMENT_CHARACTER } else { letter }
}

#[cfg(test)]
mod tests;
