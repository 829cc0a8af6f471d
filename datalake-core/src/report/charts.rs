//! The charts of a model: predicted against true, residuals, importances, the confusion matrix.

use super::data::{Harm, Harms, Importance};
use super::number::{count, number, percent};
use super::svg::{Anchor, Axis, Svg, shorten};

const WIDTH: f64 = 500.0;
const HEIGHT: f64 = 400.0;
/// Left, right, top and bottom edges of the plotting area.
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = HEIGHT - 50.0;
/// More points than these are not told apart.
const POINTS: usize = 2_000;
/// The largest number that is drawn.
const LARGEST: f64 = 1e300;
const BINS: usize = 41;
const BARS: usize = 20;
/// Up to so many classes the matrix shows its counts.
const COUNTED_CLASSES: usize = 40;

/// A chart and the sentence below it.
#[derive(Debug, serde::Serialize)]
pub(super) struct Chart {
    pub(super) svg: String,
    pub(super) caption: String,
}

/// Predicted against true values, with the line on which both are equal.
pub(super) fn scatter(pairs: &[[f64; 2]], rows: u64, target: &str) -> Option<Chart> {
    let all = pairs;
    let pairs = drawable(all);
    let low = pairs.iter().flatten().copied().reduce(f64::min)?;
    let high = pairs.iter().flatten().copied().reduce(f64::max)?;
    let low = if low >= 0.0 && low < 0.2 * high { 0.0 } else { low };
    let room = high / 50.0 - low / 50.0;
    let range = [if low == 0.0 { low } else { low - room }, high + room];
    let (across, up) = (Axis::new(range, [LEFT, RIGHT]), Axis::new(range, [BOTTOM, TOP]));
    let mut svg = Svg::new(WIDTH, HEIGHT);
    frame(&mut svg, &across, &up, &format!("true {target}"), &format!("predicted {target}"));
    let shown = spread(&pairs, POINTS);
    for [truth, predicted] in &shown {
        svg.dot("dot", [across.at(*truth), up.at(*predicted)]);
    }
    svg.line("identity", [across.at(low), up.at(low)], [across.at(range[1]), up.at(range[1])]);
    let caption = format!("{}.", chosen(shown.len(), all, rows));
    let caption = format!(
        "Predicted against true {target}; on the dashed line both are equal. {caption}{}",
        left_out(all, pairs.len())
    );
    Some(Chart { svg: svg.finish("Predicted against true", &caption), caption })
}

/// How often the prediction was off by how much.
pub(super) fn residuals(pairs: &[[f64; 2]], rows: u64, target: &str) -> Option<Chart> {
    let mut residuals: Vec<f64> = drawable(pairs).iter().map(|[truth, predicted]| predicted - truth).collect();
    residuals.sort_by(f64::total_cmp);
    let reach = reach(&residuals)?;
    let counts = bins(&residuals, reach);
    let most = counts.iter().copied().max()?;
    let across = Axis::new([-reach, reach], [LEFT, RIGHT]);
    let up = Axis::new([0.0, most as f64 * 1.05], [BOTTOM, TOP]);
    let mut svg = Svg::new(WIDTH, HEIGHT);
    frame(&mut svg, &across, &up, &format!("predicted - true {target}"), "rows");
    let width = 2.0 * reach / BINS as f64;
    for (at, &rows) in counts.iter().enumerate() {
        let start = -reach + width * at as f64;
        let (left, top) = (across.at(start), up.at(rows as f64));
        let title = format!("{} to {}: {} rows", number(start), number(start + width), count(rows));
        svg.rect("bar", [left + 0.5, top], [across.at(start + width) - left - 1.0, BOTTOM - top], 1.0, &title);
    }
    svg.line("identity", [across.at(0.0), TOP], [across.at(0.0), BOTTOM]);
    let beyond = residuals.len() as u64 - counts.iter().sum::<u64>();
    let mut caption = format!("Residuals; right of zero is too high. {}.", chosen(residuals.len(), pairs, rows));
    if beyond > 0 {
        caption += &format!(" {} more lie beyond {}.", count(beyond), number(reach));
    }
    caption += &left_out(pairs, residuals.len());
    Some(Chart { svg: svg.finish("Residuals", &caption), caption })
}

/// The half-width of the histogram: all but the largest hundredth of the residuals.
fn reach(sorted: &[f64]) -> Option<f64> {
    let mut sizes: Vec<f64> = sorted.iter().map(|value| value.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let reach = *sizes.get(sizes.len() * 99 / 100)?;
    Some(if reach > 0.0 { reach * 1.02 } else { 1.0 })
}

fn bins(residuals: &[f64], reach: f64) -> [u64; BINS] {
    let mut counts = [0; BINS];
    for value in residuals.iter().filter(|value| value.abs() <= reach) {
        let at = (value / reach + 1.0) / 2.0 * BINS as f64;
        counts[(at as usize).min(BINS - 1)] += 1;
    }
    counts
}

/// The features that matter most, as bars.
pub(super) fn importances(importances: &[Importance]) -> Option<Chart> {
    let mut sorted: Vec<&Importance> = importances.iter().filter(|line| line.share.is_finite()).collect();
    sorted.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.feature.cmp(&b.feature)));
    let most = sorted.first()?.share.max(f64::MIN_POSITIVE);
    let shown = &sorted[..sorted.len().min(BARS)];
    let (row, left) = (22.0, 170.0);
    let across = Axis::new([0.0, most], [left, WIDTH - 60.0]);
    let mut svg = Svg::new(WIDTH, row * shown.len() as f64 + 8.0);
    for (at, line) in shown.iter().enumerate() {
        let top = 4.0 + row * at as f64;
        let share = percent(line.share, 1.0);
        let title = format!("{}: {share}", line.feature);
        svg.text("label", [left - 8.0, top + 15.0], Anchor::End, 0.0, &shorten(&line.feature, 24));
        let end = across.at(line.share.max(0.0));
        svg.rect("bar", [left, top + 3.0], [(end - left).max(1.0), row - 6.0], 1.0, &title);
        svg.text("tick", [end + 6.0, top + 15.0], Anchor::Start, 0.0, &share);
    }
    let left_out = sorted.len() - shown.len();
    let mut caption = "Share of each feature in all that the model learned.".to_owned();
    if left_out > 0 {
        caption += &format!(" {left_out} less important features are not shown.");
    }
    Some(Chart { svg: svg.finish("Feature importance", &caption), caption })
}

/// What the loss of a column does, as bars with their intervals.
pub(super) fn harms(harms: &Harms) -> Option<Chart> {
    let mut sorted: Vec<&Harm> = harms.features.iter().filter(|harm| harm.mean.is_finite()).collect();
    sorted.sort_by(|a, b| b.mean.total_cmp(&a.mean).then_with(|| a.feature.cmp(&b.feature)));
    let shown = &sorted[..sorted.len().min(BARS)];
    let ends = |harm: &Harm| harm.interval.filter(|ends| ends.iter().all(|end| end.is_finite()));
    let reach = |harm: &Harm| ends(harm).map_or(harm.mean, |[_, high]| high);
    let most = shown.iter().map(|harm| reach(harm)).reduce(f64::max)?.max(f64::MIN_POSITIVE);
    let unit = harms.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let (row, left) = (22.0, 170.0);
    let across = Axis::new([0.0, most], [left, WIDTH - 90.0]);
    let at = |value: f64| across.at(value.max(0.0)).max(left);
    let mut svg = Svg::new(WIDTH, row * shown.len() as f64 + 8.0);
    for (place, harm) in shown.iter().enumerate() {
        let top = 4.0 + row * place as f64;
        let mean = number(harm.mean);
        let interval = ends(harm).map(|[low, high]| format!(" ({} to {})", number(low), number(high)));
        let title = format!("{}: {mean}{unit}{}", harm.feature, interval.unwrap_or_default());
        svg.text("label", [left - 8.0, top + 15.0], Anchor::End, 0.0, &shorten(&harm.feature, 24));
        svg.rect("bar", [left, top + 3.0], [(at(harm.mean) - left).max(1.0), row - 6.0], 1.0, &title);
        if let Some([low, high]) = ends(harm) {
            svg.line("interval", [at(low), top + 11.0], [at(high), top + 11.0]);
        }
        svg.text("tick", [at(reach(harm)) + 6.0, top + 15.0], Anchor::Start, 0.0, &format!("{mean}{unit}"));
    }
    let left_out = sorted.len() - shown.len();
    let mut caption = format!(
        "How much worse {} gets on held-out rows when the column is shuffled, with 95 % intervals.",
        harms.metric
    );
    if left_out > 0 {
        caption += &format!(" {left_out} less important features are not shown.");
    }
    Some(Chart { svg: svg.finish("Permutation importance", &caption), caption })
}

/// Which class was taken for which; a row's shades are shares of its true class.
pub(super) fn confusion(labels: &[String], counts: &[Vec<u64>]) -> Option<Chart> {
    if labels.is_empty() {
        return None;
    }
    let classes = labels.len();
    let cell = if classes <= 20 { 32.0 } else { 27.0 };
    let (left, top) = (238.0, 172.0);
    let right = left + cell * classes as f64;
    let mut svg = Svg::new(right + 90.0, top + cell * classes as f64 + 8.0);
    svg.text("axis", [left - 10.0, top - 10.0], Anchor::End, 0.0, "true class ↓   predicted →");
    svg.text("axis", [right + 10.0, top - 10.0], Anchor::Start, 0.0, "recall");
    for (row, label) in labels.iter().enumerate() {
        let y = top + cell * row as f64;
        svg.text("label", [left - 8.0, y + cell / 2.0 + 4.0], Anchor::End, 0.0, &shorten(label, 32));
        let header = [left + cell * (row as f64 + 0.5) + 3.0, top - 8.0];
        svg.text("label", header, Anchor::Start, -60.0, &shorten(label, 24));
        confusion_row(&mut svg, labels, counts, row, [left, y], cell);
        let (hits, all) = (entry(counts, row, row), total(counts, row, classes));
        svg.text("tick", [right + 10.0, y + cell / 2.0 + 4.0], Anchor::Start, 0.0, &percent(hits as f64, all as f64));
    }
    let caption = "Rows are true classes, columns predicted ones; the stronger the color, the larger the share of the true class.";
    Some(Chart { svg: svg.finish("Confusion matrix", caption), caption: caption.to_owned() })
}

fn confusion_row(svg: &mut Svg, labels: &[String], counts: &[Vec<u64>], row: usize, [left, y]: [f64; 2], cell: f64) {
    let all = total(counts, row, labels.len()).max(1) as f64;
    for (column, predicted) in labels.iter().enumerate() {
        let rows = entry(counts, row, column);
        let x = left + cell * column as f64;
        let share = rows as f64 / all;
        if rows == 0 {
            svg.rect("blank", [x + 0.5, y + 0.5], [cell - 1.0, cell - 1.0], 1.0, "");
            continue;
        }
        let class = if row == column { "hit" } else { "miss" };
        let title = format!("{} taken for {predicted}: {}", labels[row], count(rows));
        svg.rect(class, [x + 0.5, y + 0.5], [cell - 1.0, cell - 1.0], 0.10 + 0.90 * share, &title);
        if labels.len() <= COUNTED_CLASSES {
            let class = if share > 0.5 { "cell strong" } else { "cell" };
            svg.text(class, [x + cell / 2.0, y + cell / 2.0 + 4.0], Anchor::Middle, 0.0, &compact(rows));
        }
    }
}

/// A count in at most four characters.
fn compact(rows: u64) -> String {
    match rows {
        0..10_000 => rows.to_string(),
        10_000..1_000_000 => format!("{}k", rows / 1_000),
        _ => format!("{}M", rows / 1_000_000),
    }
}

/// The count of a cell; one that is not there is zero.
pub(super) fn entry(counts: &[Vec<u64>], row: usize, column: usize) -> u64 {
    counts.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0)
}

fn total(counts: &[Vec<u64>], row: usize, classes: usize) -> u64 {
    (0..classes).map(|column| entry(counts, row, column)).sum()
}

fn frame(svg: &mut Svg, across: &Axis, up: &Axis, x_title: &str, y_title: &str) {
    for tick in across.ticks(6) {
        let x = across.at(tick);
        svg.line("grid", [x, TOP], [x, BOTTOM]);
        svg.text("tick", [x, BOTTOM + 18.0], Anchor::Middle, 0.0, &number(tick));
    }
    for tick in up.ticks(6) {
        let y = up.at(tick);
        svg.line("grid", [LEFT, y], [RIGHT, y]);
        svg.text("tick", [LEFT - 8.0, y + 4.0], Anchor::End, 0.0, &number(tick));
    }
    svg.line("edge", [LEFT, BOTTOM], [RIGHT, BOTTOM]);
    svg.line("edge", [LEFT, TOP], [LEFT, BOTTOM]);
    svg.text("axis", [LEFT.midpoint(RIGHT), HEIGHT - 10.0], Anchor::Middle, 0.0, &shorten(x_title, 50));
    svg.text("axis", [14.0, TOP.midpoint(BOTTOM)], Anchor::Middle, -90.0, &shorten(y_title, 50));
}

/// The pairs that can be drawn: numbers, and not so large that their differences are none.
fn drawable(pairs: &[[f64; 2]]) -> Vec<[f64; 2]> {
    pairs.iter().copied().filter(|pair| pair.iter().all(|value| value.abs() <= LARGEST)).collect()
}

/// Which of the rows held out are drawn: `drawn` of the pairs, which may themselves be a choice of the `rows`.
fn chosen(drawn: usize, pairs: &[[f64; 2]], rows: u64) -> String {
    let rows = rows.max(pairs.len() as u64);
    if drawn < drawable(pairs).len() || (pairs.len() as u64) < rows {
        format!("{} of {} held-out rows, evenly chosen", count(drawn as u64), count(rows))
    } else {
        format!("All {} held-out rows", count(drawn as u64))
    }
}

/// Says how many pairs are not drawn, where there are any.
fn left_out(pairs: &[[f64; 2]], drawn: usize) -> String {
    match pairs.len() - drawn {
        0 => String::new(),
        rows => format!(" {} without a number to draw.", count(rows as u64)),
    }
}

/// At most `most` of the items, evenly spaced.
fn spread<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    let shown = items.len().min(most);
    (0..shown).map(|at| items[at * items.len() / shown]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scatter_shows_two_thousand_points_at_most() {
        let pairs: Vec<[f64; 2]> = (0..4_001).map(|at| [f64::from(at), f64::from(at) + 1.0]).collect();
        let chart = scatter(&pairs, pairs.len() as u64, "kcal").unwrap();
        assert_eq!(chart.svg.matches("<circle").count(), 2_000);
        assert!(chart.caption.contains("2,000 of 4,001"), "{}", chart.caption);
    }

    #[test]
    fn residuals_are_all_accounted_for() {
        let mut pairs = vec![[0.0, 1.0]; 500];
        pairs.push([0.0, 1_000.0]);
        pairs.push([0.0, f64::NAN]);
        let chart = residuals(&pairs, 5000, "kcal").unwrap();
        assert!(chart.caption.contains("501 of 5,000"), "{}", chart.caption);
        assert!(chart.caption.contains("1 more lie beyond"), "{}", chart.caption);
        assert!(chart.caption.ends_with("1 without a number to draw."), "{}", chart.caption);
        assert_eq!(bins(&[-1.0, 0.0, 1.0], 1.0).iter().sum::<u64>(), 3);
    }

    #[test]
    fn nothing_to_show_is_no_chart() {
        assert!(scatter(&[[f64::NAN, 1.0]], 1, "x").is_none());
        assert!(residuals(&[], 0, "x").is_none());
        assert!(importances(&[]).is_none());
        assert!(confusion(&[], &[]).is_none());
    }

    #[test]
    fn extreme_values_give_finite_coordinates() {
        for pair in [[f64::MAX, f64::MIN], [0.0, 0.0], [5e-324, 0.0], [-3.0, -3.0]] {
            for chart in [scatter(&[pair, pair], 2, "x"), residuals(&[pair], 1, "x")].into_iter().flatten() {
                assert!(!chart.svg.contains("NaN") && !chart.svg.contains("inf"), "{pair:?}: {}", chart.svg);
            }
        }
    }

    #[test]
    fn a_matrix_with_holes_counts_them_as_zero() {
        let labels = ["a", "b"].map(str::to_owned);
        let chart = confusion(&labels, &[vec![3]]).unwrap();
        assert_eq!(chart.svg.matches("class=\"blank\"").count(), 3);
        assert!(chart.svg.contains("100.0 %"));
    }

    #[test]
    fn harms_are_bars_with_their_intervals() {
        let harm = |feature: &str, mean, interval| Harm { feature: feature.to_owned(), mean, interval };
        let features = vec![
            harm("low", -0.1, Some([-0.2, 0.1])),
            harm("high", 2.0, Some([1.5, 2.5])),
            harm("once", 1.0, None),
            harm("none", f64::NAN, None),
        ];
        let chart = harms(&Harms { metric: "rmse".to_owned(), unit: Some("kcal".to_owned()), features }).unwrap();
        assert!(chart.svg.find(">high<").unwrap() < chart.svg.find(">once<").unwrap());
        assert!(chart.svg.contains("high: 2 kcal (1.5 to 2.5)"), "{}", chart.svg);
        assert!(!chart.svg.contains("none") && !chart.svg.contains("NaN"));
        assert!(harms(&Harms::default()).is_none());
    }

    #[test]
    fn the_most_important_features_come_first() {
        let lines: Vec<Importance> =
            (0..25).map(|at| Importance { feature: format!("f{at}"), share: f64::from(at) }).collect();
        let chart = importances(&lines).unwrap();
        assert!(chart.svg.find("f24").unwrap() < chart.svg.find("f23").unwrap());
        assert!(chart.caption.contains("5 less important"));
    }
}
