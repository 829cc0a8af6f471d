//! What the page's template needs beside the report itself: sums, shares, charts, numbers as text.

use serde::Serialize;

use super::charts::{self, Chart, entry};
use super::data::{ColumnLine, Evaluation, ModelPart, PreparePart, Report, Role, ScoreLine, SourceLine, StepLine};
use super::number::{NONE, count, number, percent, seconds};
use super::verdict::{Standing, verdict};

/// All that the template is given.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    report: &'a Report,
    css: &'static str,
    tiles: Vec<Tile>,
    models: Vec<ModelView<'a>>,
    prepares: Vec<PrepareView<'a>>,
    steps: Vec<StepView<'a>>,
}

#[derive(Debug, Serialize)]
struct Tile {
    value: String,
    label: String,
}

#[derive(Debug, Serialize)]
struct ModelView<'a> {
    part: &'a ModelPart,
    task: &'static str,
    standing: &'static str,
    verdict: String,
    scores: Vec<ScoreView<'a>>,
    charts: Vec<Chart>,
    importances: Option<Chart>,
    harms: Option<Chart>,
    matrix: Option<Chart>,
    classes: Vec<ClassView<'a>>,
}

#[derive(Debug, Serialize)]
struct ScoreView<'a> {
    estimator: &'a str,
    scored_on: &'static str,
    own: bool,
    cells: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ClassView<'a> {
    label: &'a str,
    rows: String,
    recall: String,
    precision: String,
    f1: String,
    taken_for: String,
}

#[derive(Debug, Serialize)]
struct PrepareView<'a> {
    part: &'a PreparePart,
    sources: Vec<BalanceView>,
    total: BalanceView,
    columns: Vec<ColumnView<'a>>,
}

#[derive(Debug, Serialize)]
struct BalanceView {
    object: String,
    format: String,
    seen: String,
    written: String,
    quarantined: String,
    dropped: String,
    why: String,
    balances: bool,
}

#[derive(Debug, Serialize)]
struct ColumnView<'a> {
    name: &'a str,
    data_type: &'a str,
    unit: &'a str,
    missing: String,
    distinct: String,
    min: &'a str,
    mean: String,
    max: &'a str,
}

#[derive(Debug, Serialize)]
struct StepView<'a> {
    line: &'a StepLine,
    time: String,
    share: String,
}

impl<'a> View<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        Self {
            report,
            css: include_str!("style.css"),
            tiles: tiles(report),
            models: report.models.iter().map(ModelView::new).collect(),
            prepares: report.prepares.iter().map(PrepareView::new).collect(),
            steps: steps(&report.steps),
        }
    }
}

/// The figures at the top: rows in, bad rows, rows out, the first score of each model, time.
fn tiles(report: &Report) -> Vec<Tile> {
    let tile = |value: String, label: String| Tile { value, label };
    let sources = || report.prepares.iter().flat_map(|part| &part.sources);
    let mut tiles = Vec::new();
    if sources().next().is_some() {
        let seen: u64 = sources().map(|line| line.seen).sum();
        let bad: u64 = sources().flat_map(|line| line.quarantined.values()).sum();
        tiles.push(tile(count(seen), "records read".to_owned()));
        tiles.push(tile(count(bad), "quarantined".to_owned()));
        let prepared: u64 = report.prepares.iter().map(rows_out).sum();
        tiles.push(tile(count(prepared), "rows prepared".to_owned()));
    }
    for model in &report.models {
        let own = model.scores.iter().find(|line| line.role == Role::HeldOut);
        if let (Some(metric), Some(value)) = (model.metrics.first(), own.and_then(|line| line.values.first())) {
            let unit = metric.unit.as_ref().map(|unit| format!(" in {unit}")).unwrap_or_default();
            tiles.push(tile(optional(*value), format!("{}{unit}, {}", metric.name, model.target)));
        }
    }
    if !report.steps.is_empty() {
        let time: f64 = report.steps.iter().map(|step| step.seconds).sum();
        tiles.push(tile(seconds(time), "run time".to_owned()));
    }
    tiles
}

fn rows_out(part: &PreparePart) -> u64 {
    match &part.combine {
        Some(combine) => combine.rows_out,
        None => part.sources.iter().map(|line| line.written).sum(),
    }
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), number)
}

impl<'a> ModelView<'a> {
    fn new(part: &'a ModelPart) -> Self {
        let (standing, verdict) = verdict(part);
        let (task, charts, matrix, classes) = evaluated(part);
        let importances = charts::importances(&part.importances);
        let harms = part.harms.as_ref().and_then(charts::harms);
        let scores = part.scores.iter().map(|line| ScoreView::new(line, part.metrics.len())).collect();
        Self {
            part,
            task,
            standing: standing_class(standing),
            verdict,
            scores,
            charts,
            importances,
            harms,
            matrix,
            classes,
        }
    }
}

type Evaluated<'a> = (&'static str, Vec<Chart>, Option<Chart>, Vec<ClassView<'a>>);

fn evaluated(part: &ModelPart) -> Evaluated<'_> {
    match &part.evaluation {
        Evaluation::None => ("prediction", Vec::new(), None, Vec::new()),
        Evaluation::Regression { pairs } => {
            let target =
                part.unit.as_ref().map_or_else(|| part.target.clone(), |unit| format!("{} ({unit})", part.target));
            let charts =
                [charts::scatter(pairs, part.test_rows, &target), charts::residuals(pairs, part.test_rows, &target)];
            ("regression", charts.into_iter().flatten().collect(), None, Vec::new())
        }
        Evaluation::Classification { labels, counts } => {
            let classes = (0..labels.len()).map(|class| ClassView::new(class, labels, counts)).collect();
            ("classification", Vec::new(), charts::confusion(labels, counts), classes)
        }
    }
}

fn standing_class(standing: Standing) -> &'static str {
    match standing {
        Standing::Better => "better",
        Standing::AsGood => "as_good",
        Standing::Worse => "worse",
        Standing::Unknown => "unknown",
    }
}

impl<'a> ScoreView<'a> {
    fn new(line: &'a ScoreLine, metrics: usize) -> Self {
        let cell = |at: usize| {
            let value = optional(line.values.get(at).copied().flatten());
            match line.deviations.get(at).copied().flatten() {
                Some(deviation) => format!("{value} ± {}", number(deviation)),
                None => value,
            }
        };
        Self {
            estimator: &line.estimator,
            scored_on: match line.role {
                Role::HeldOut | Role::Baseline => "held-out rows",
                Role::OutOfBag => "out-of-bag rows",
                Role::Folds => "folds, mean ± std",
                Role::Reference => "held-out rows, no learning",
            },
            own: line.role == Role::HeldOut,
            cells: (0..metrics).map(cell).collect(),
        }
    }
}

impl<'a> ClassView<'a> {
    fn new(class: usize, labels: &'a [String], counts: &[Vec<u64>]) -> Self {
        let all = 0..labels.len();
        let rows: u64 = all.clone().map(|other| entry(counts, class, other)).sum();
        let predicted: u64 = all.clone().map(|other| entry(counts, other, class)).sum();
        let hits = entry(counts, class, class) as f64;
        let wrong = all.filter(|&other| other != class).map(|other| (entry(counts, class, other), other));
        // Of equal counts the first class is named.
        let worst =
            wrong.filter(|(count, _)| *count > 0).max_by_key(|&(count, other)| (count, std::cmp::Reverse(other)));
        Self {
            label: &labels[class],
            rows: count(rows),
            recall: percent(hits, rows as f64),
            precision: percent(hits, predicted as f64),
            f1: percent(2.0 * hits, (rows + predicted) as f64),
            taken_for: worst.map_or_else(String::new, |(rows, other)| format!("{} ({})", labels[other], count(rows))),
        }
    }
}

impl<'a> PrepareView<'a> {
    fn new(part: &'a PreparePart) -> Self {
        let rows = rows_out(part);
        Self {
            part,
            sources: part.sources.iter().map(BalanceView::new).collect(),
            total: BalanceView::new(&total(&part.sources)),
            columns: part.columns.iter().map(|column| ColumnView::new(column, rows)).collect(),
        }
    }
}

/// All sources as one.
fn total(sources: &[SourceLine]) -> SourceLine {
    let mut all = SourceLine::default();
    for line in sources {
        all.seen += line.seen;
        all.written += line.written;
        for (code, rows) in &line.quarantined {
            *all.quarantined.entry(code.clone()).or_default() += rows;
        }
        for (rule, rows) in &line.dropped {
            *all.dropped.entry(rule.clone()).or_default() += rows;
        }
    }
    all
}

impl BalanceView {
    fn new(line: &SourceLine) -> Self {
        let reasons = line.quarantined.iter().chain(&line.dropped).filter(|(_, rows)| **rows > 0);
        let why: Vec<String> = reasons.map(|(code, rows)| format!("{code} {}", count(*rows))).collect();
        Self {
            object: line.object.clone(),
            format: line.format.clone(),
            seen: count(line.seen),
            written: count(line.written),
            quarantined: count(line.quarantined.values().sum()),
            dropped: count(line.dropped.values().sum()),
            why: why.join(", "),
            balances: line.balances(),
        }
    }
}

impl<'a> ColumnView<'a> {
    fn new(column: &'a ColumnLine, rows: u64) -> Self {
        let missing = match column.nulls {
            0 => "0".to_owned(),
            nulls => format!("{} ({})", count(nulls), percent(nulls as f64, rows as f64)),
        };
        Self {
            name: &column.name,
            data_type: &column.data_type,
            unit: column.unit.as_deref().unwrap_or(""),
            missing,
            distinct: column.distinct.map_or_else(|| NONE.to_owned(), count),
            min: column.min.as_deref().unwrap_or(NONE),
            mean: optional(column.mean),
            max: column.max.as_deref().unwrap_or(NONE),
        }
    }
}

fn steps(lines: &[StepLine]) -> Vec<StepView<'_>> {
    let longest = lines.iter().map(|line| line.seconds).filter(|seconds| seconds.is_finite()).fold(0.0, f64::max);
    let share = |line: &StepLine| if longest > 0.0 { 100.0 * line.seconds / longest } else { 0.0 };
    let view = |line| {
        let share = share(line);
        let share = if share.is_finite() { share.clamp(0.0, 100.0) } else { 0.0 };
        StepView { line, time: seconds(line.seconds), share: format!("{share:.1}") }
    };
    lines.iter().map(view).collect()
}
