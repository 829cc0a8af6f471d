//! Says in a sentence whether a model is worth more than what is simpler.

use super::data::{Metric, ModelPart, Role, ScoreLine};
use super::number::number;

/// Differences below this share are no differences.
const CLOSE: f64 = 0.02;

/// What the scores say of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Better,
    AsGood,
    Worse,
    Unknown,
}

/// Compares the model with the best of the baselines and references, by the first metric on held-out rows.
pub(super) fn verdict(model: &ModelPart) -> (Standing, String) {
    let Some(metric) = model.metrics.first() else { return (Standing::Unknown, "No metric was computed.".to_owned()) };
    let Some((own, score)) = best(model, metric, &[Role::HeldOut]) else {
        return (Standing::Unknown, "The model was not scored on held-out rows.".to_owned());
    };
    let Some((rival, other)) = best(model, metric, &[Role::Baseline, Role::Reference]) else {
        return (Standing::Unknown, "No baseline was scored, so these scores say little.".to_owned());
    };
    let (margin, reason) = margin(model, score, other);
    let gain = if metric.lower_is_better { other - score } else { score - other };
    let named = name(rival);
    let unit = metric.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let (own, figures) = (&own.estimator, (number(score), number(other)));
    if gain.abs() <= margin {
        let (score, other) = figures;
        let text = format!("{named} is as good as the {own}: {} {other} against {score}{unit}, {reason}.", metric.name);
        (Standing::AsGood, capitalized(&text))
    } else if gain < 0.0 {
        let (score, other) = figures;
        let text = format!("{named} is better than the {own}: {} {other} against {score}{unit}.", metric.name);
        (Standing::Worse, capitalized(&text))
    } else {
        let (score, other) = figures;
        let text = format!(
            "The {own} is better than what is simpler: {} {score} against {other}{unit} of {named}.",
            metric.name
        );
        (Standing::Better, text)
    }
}

fn name(line: &ScoreLine) -> String {
    match line.role {
        Role::Reference => format!("the {} formula", line.estimator),
        _ => format!("the {} baseline", line.estimator),
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The line of these roles with the best first value, and that value.
fn best<'a>(model: &'a ModelPart, metric: &Metric, roles: &[Role]) -> Option<(&'a ScoreLine, f64)> {
    let scored = model.scores.iter().filter(|line| roles.contains(&line.role)).filter_map(|line| {
        let value = line.values.first().copied().flatten().filter(|value| value.is_finite())?;
        Some((line, value))
    });
    scored.reduce(|best, next| {
        let ahead = if metric.lower_is_better { next.1 < best.1 } else { next.1 > best.1 };
        if ahead { next } else { best }
    })
}

/// The largest difference that means nothing, and why: 2 %, or the spread over the folds where it is larger.
fn margin(model: &ModelPart, score: f64, other: f64) -> (f64, &'static str) {
    let close = CLOSE * score.abs().max(other.abs());
    let own = model.scores.iter().find(|line| line.role == Role::HeldOut).map(|line| &line.estimator);
    let folds = model.scores.iter().find(|line| line.role == Role::Folds && Some(&line.estimator) == own);
    let spread = folds.and_then(|line| line.deviations.first().copied().flatten()).filter(|spread| spread.is_finite());
    match spread {
        Some(spread) if spread > close => (spread, "a difference within one standard deviation over the folds"),
        _ => (close, "a difference of at most 2 %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(lower: bool, scores: &[(&str, Role, f64)], spread: Option<f64>) -> ModelPart {
        let line = |&(estimator, role, value): &(&str, Role, f64)| ScoreLine {
            estimator: estimator.to_owned(),
            role,
            values: vec![Some(value)],
            deviations: vec![spread; usize::from(role == Role::Folds)],
        };
        ModelPart {
            metrics: vec![Metric { name: "MAE".to_owned(), unit: Some("kcal".to_owned()), lower_is_better: lower }],
            scores: scores.iter().map(line).collect(),
            ..ModelPart::default()
        }
    }

    #[test]
    fn a_better_baseline_is_named() {
        let scores =
            [("forest", Role::HeldOut, 5.51), ("dummy", Role::Baseline, 120.0), ("linear", Role::Baseline, 5.06)];
        let (standing, text) = verdict(&model(true, &scores, None));
        assert_eq!(standing, Standing::Worse);
        assert_eq!(text, "The linear baseline is better than the forest: MAE 5.06 against 5.51 kcal.");
    }

    #[test]
    fn a_small_difference_is_none() {
        let scores = [("forest", Role::HeldOut, 5.0), ("Atwater", Role::Reference, 5.09)];
        let (standing, text) = verdict(&model(true, &scores, None));
        assert_eq!(standing, Standing::AsGood);
        assert_eq!(
            text,
            "The Atwater formula is as good as the forest: MAE 5.09 against 5 kcal, a difference of at most 2 %."
        );
    }

    #[test]
    fn the_spread_over_the_folds_widens_the_margin() {
        let scores = [("forest", Role::HeldOut, 5.0), ("forest", Role::Folds, 5.2), ("linear", Role::Baseline, 5.6)];
        assert_eq!(verdict(&model(true, &scores, Some(0.7))).0, Standing::AsGood);
        assert_eq!(verdict(&model(true, &scores, Some(0.3))).0, Standing::Better);
        // What another estimator spreads says nothing of this one.
        let mut wide = model(true, &scores, Some(0.3));
        let dummy = ScoreLine { estimator: "dummy".to_owned(), deviations: vec![Some(9.0)], ..wide.scores[1].clone() };
        wide.scores.insert(0, dummy);
        assert_eq!(verdict(&wide).0, Standing::Better);
    }

    #[test]
    fn more_is_better_where_the_metric_says_so() {
        let scores =
            [("forest", Role::HeldOut, 0.9), ("logistic", Role::Baseline, 0.7), ("dummy", Role::Baseline, 0.1)];
        let (standing, text) = verdict(&model(false, &scores, None));
        assert_eq!(standing, Standing::Better);
        assert!(text.ends_with("MAE 0.9 against 0.7 kcal of the logistic baseline."), "{text}");
    }

    #[test]
    fn without_numbers_there_is_no_verdict() {
        for scores in [&[][..], &[("forest", Role::HeldOut, f64::NAN)], &[("forest", Role::HeldOut, 1.0)]] {
            assert_eq!(verdict(&model(true, scores, None)).0, Standing::Unknown);
        }
        assert_eq!(verdict(&ModelPart::default()).0, Standing::Unknown);
    }
}
