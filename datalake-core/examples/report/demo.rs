//! A report from made-up numbers, to look at and to test with.

use std::collections::BTreeMap;

use datalake_core::random::Draws;
use datalake_core::report::{
    ColumnLine, Combine, Evaluation, Harm, Harms, Importance, LineageLine, Metric, ModelPart, Parameter, PreparePart,
    Report, Role, ScoreLine, SourceLine, Status, StepLine,
};

const FEATURES: [&str; 13] = [
    "fat_g",
    "water_g",
    "carbohydrate_g",
    "protein_g",
    "fiber_g",
    "alcohol_g",
    "saturated_fat_g",
    "sugars_g",
    "sodium_mg",
    "calcium_mg",
    "iron_mg",
    "vitamin_c_mg",
    "cholesterol_mg",
];

const GROUPS: [&str; 18] = [
    "Baked Products",
    "Beef Products",
    "Beverages",
    "Breakfast Cereals",
    "Cereal Grains and Pasta",
    "Dairy and Egg Products",
    "Fats and Oils",
    "Finfish and Shellfish Products",
    "Fruits and Fruit Juices",
    "Legumes and Legume Products",
    "Nut and Seed Products",
    "Pork Products",
    "Poultry Products",
    "Sausages and Luncheon Meats",
    "Soups, Sauces, and Gravies",
    "Spices and Herbs",
    "Sweets",
    "Vegetables and Vegetable Products",
];

/// A full report from made-up numbers.
pub(crate) fn demo() -> Report {
    Report {
        title: "Food Calorie Analysis".to_owned(),
        run: "20260102-030405-7f3a".to_owned(),
        status: Status::Done,
        code_version: "0.1.0 (0123456789abcdef)".to_owned(),
        started: Some("2026-01-02 03:04:05 UTC".to_owned()),
        data_label: Some("synthetic".to_owned()),
        notes: vec!["Synthetic data made by datalake: no row describes a real product.".to_owned()],
        steps: vec![
            step("prepare foods", Status::Skipped, 0.004, "unchanged since 20260102-020202-11aa"),
            step("train energy", Status::Done, 0.812, "100 trees"),
            step("train food_group", Status::Done, 1.907, "100 trees"),
            step("evaluate", Status::Done, 0.455, ""),
            step("predict", Status::Done, 0.061, "processed-data/predictions.parquet"),
        ],
        prepares: vec![prepare()],
        models: vec![regression(), classification()],
        lineage: lineage(),
    }
}

fn step(name: &str, status: Status, seconds: f64, detail: &str) -> StepLine {
    StepLine { name: name.to_owned(), status, seconds, detail: detail.to_owned() }
}

fn prepare() -> PreparePart {
    let source = |object: &str, format: &str, seen: u64, bad: &[(&str, u64)], dropped: u64| {
        let quarantined: BTreeMap<String, u64> = bad.iter().map(|&(code, rows)| (code.to_owned(), rows)).collect();
        let written = seen - dropped - quarantined.values().sum::<u64>();
        let dropped = BTreeMap::from([("energy_known".to_owned(), dropped)]);
        SourceLine { object: object.to_owned(), format: format.to_owned(), seen, written, quarantined, dropped }
    };
    PreparePart {
        name: "foods".to_owned(),
        destinations: vec!["processed-data/foods.parquet".to_owned(), "processed-data/foods.csv".to_owned()],
        digest: "4f0c1e".repeat(10) + "4f0c",
        sources: vec![
            source("raw-data/foods/foods-2021.csv", "csv", 1_200, &[("ragged", 4), ("type", 4), ("utf8", 4)], 8),
            source("raw-data/foods/foods-2023.ndjson", "ndjson", 1_204, &[("range", 8), ("syntax", 8)], 7),
            source("raw-data/foods/foods-2025.parquet", "parquet", 1_200, &[("range", 8)], 0),
        ],
        quarantine: Some("processed-data/_quarantine/20260102-030405-7f3a/".to_owned()),
        combine: Some(Combine { rows_in: 3_553, rows_out: 3_297, duplicates: 256 }),
        columns: columns(),
    }
}

fn columns() -> Vec<ColumnLine> {
    let text = ColumnLine {
        name: "food_code".to_owned(),
        data_type: "utf8".to_owned(),
        distinct: Some(3_297),
        min: Some("00001".to_owned()),
        max: Some("06000".to_owned()),
        ..ColumnLine::default()
    };
    let mut columns = vec![text];
    for (at, name) in (0_u32..).zip(FEATURES) {
        let unit = name.rsplit('_').next().map(str::to_owned);
        let (nulls, mean) = (u64::from(at * 31 % 400), Some(f64::from(at * 7 + 3) / 1.7));
        let numbers = (Some("0".to_owned()), Some((at * 40 + 60).to_string()));
        let (min, max) = numbers;
        columns.push(ColumnLine {
            name: name.to_owned(),
            data_type: "float64".to_owned(),
            unit,
            nulls,
            distinct: Some(1_000),
            min,
            mean,
            max,
        });
    }
    columns
}

fn line(estimator: &str, role: Role, values: &[f64]) -> ScoreLine {
    let values = values.iter().copied().map(Some).collect();
    ScoreLine { estimator: estimator.to_owned(), role, values, deviations: Vec::new() }
}

fn metric(name: &str, unit: Option<&str>, lower_is_better: bool) -> Metric {
    Metric { name: name.to_owned(), unit: unit.map(str::to_owned), lower_is_better }
}

fn parameters() -> Vec<Parameter> {
    [("trees", "100"), ("max features", "1/3"), ("min samples leaf", "1"), ("seed", "42")]
        .map(|(name, value)| Parameter { name: name.to_owned(), value: value.to_owned() })
        .to_vec()
}

fn importances(skew: f64) -> Vec<Importance> {
    let weights: Vec<f64> = (0..13_i32).map(|at| skew.powi(at)).collect();
    let total: f64 = weights.iter().sum();
    FEATURES
        .iter()
        .zip(weights)
        .map(|(feature, weight)| Importance { feature: (*feature).to_owned(), share: weight / total })
        .collect()
}

fn harms() -> Harms {
    let harm = |(place, feature): (i32, &&str)| {
        let mean = 60.0 * 0.5_f64.powi(place) - 0.05;
        Harm { feature: (*feature).to_owned(), mean, interval: Some([mean * 0.9 - 0.04, mean * 1.1 + 0.04]) }
    };
    Harms {
        metric: "rmse".to_owned(),
        unit: Some("kcal".to_owned()),
        features: (0..).zip(&FEATURES).map(harm).collect(),
    }
}

fn regression() -> ModelPart {
    let folds = ScoreLine {
        deviations: vec![Some(0.31), Some(0.9), Some(0.0013)],
        ..line("forest", Role::Folds, &[5.6, 12.1, 0.9949])
    };
    ModelPart {
        name: "energy".to_owned(),
        object: "models/energy.model".to_owned(),
        digest: "9ab3d2".repeat(10) + "9ab3",
        target: "energy_kcal".to_owned(),
        unit: Some("kcal".to_owned()),
        features: FEATURES.map(str::to_owned).to_vec(),
        parameters: parameters(),
        train_rows: 2_638,
        test_rows: 659,
        split: "at random, 20 % held out".to_owned(),
        metrics: vec![metric("MAE", Some("kcal"), true), metric("RMSE", Some("kcal"), true), metric("R²", None, false)],
        scores: vec![
            line("forest", Role::HeldOut, &[5.51, 11.79, 0.9951]),
            line("forest", Role::OutOfBag, &[5.72, 12.4, 0.9946]),
            folds,
            line("dummy", Role::Baseline, &[137.2, 169.9, -0.0002]),
            line("linear", Role::Baseline, &[5.06, 10.76, 0.9959]),
            line("Atwater", Role::Reference, &[6.55, 13.9, 0.9923]),
        ],
        importances: importances(0.55),
        harms: Some(harms()),
        evaluation: Evaluation::Regression { pairs: pairs() },
    }
}

/// Clusters at low energies, a long tail, errors that grow with the value.
fn pairs() -> Vec<[f64; 2]> {
    let mut draws = Draws::new(1, 2);
    let pair = |_| {
        let truth = (900.0 * draws.unit() * draws.unit()).round();
        let noise = draws.unit() + draws.unit() + draws.unit() + draws.unit() - 2.0;
        [truth, (truth + noise * (6.0 + truth * 0.05)).max(0.0)]
    };
    (0..659).map(pair).collect()
}

fn classification() -> ModelPart {
    ModelPart {
        name: "food_group".to_owned(),
        object: "models/food_group.model".to_owned(),
        digest: "77e01c".repeat(10) + "77e0",
        target: "food_group".to_owned(),
        features: FEATURES.map(str::to_owned).to_vec(),
        parameters: parameters(),
        train_rows: 2_638,
        test_rows: 659,
        split: "by group `family`, 20 % held out".to_owned(),
        metrics: vec![metric("accuracy", None, false), metric("F1 macro", None, false), metric("log loss", None, true)],
        scores: vec![
            line("forest", Role::HeldOut, &[0.852, 0.8134, 0.61]),
            line("forest", Role::OutOfBag, &[0.849, 0.811, 0.63]),
            line("dummy", Role::Baseline, &[0.109, 0.011, f64::NAN]),
            line("logistic", Role::Baseline, &[0.701, 0.66, 0.98]),
        ],
        importances: importances(0.86),
        evaluation: Evaluation::Classification { labels: GROUPS.map(str::to_owned).to_vec(), counts: matrix() },
        ..ModelPart::default()
    }
}

fn matrix() -> Vec<Vec<u64>> {
    let mut draws = Draws::new(3, 4);
    let mut counts = vec![vec![0; GROUPS.len()]; GROUPS.len()];
    for (class, row) in counts.iter_mut().enumerate() {
        row[class] = 12 + draws.below(50);
        for _ in 0..draws.below(14) {
            let neighbor = (class + 1 + draws.below(3) as usize) % GROUPS.len();
            row[neighbor] += 1;
        }
    }
    counts
}

fn lineage() -> Vec<LineageLine> {
    let line = |role: &str, object: &str, bytes: u64| LineageLine {
        role: role.to_owned(),
        object: object.to_owned(),
        e_tag: Some("\"5-1b2c3d\"".to_owned()),
        digest: (role != "source").then(|| "ab54a9".repeat(10) + "ab54"),
        bytes: Some(bytes),
    };
    vec![
        line("source", "raw-data/foods/foods-2021.csv", 170_938),
        line("source", "raw-data/foods/foods-2023.ndjson", 479_115),
        line("table", "processed-data/foods.parquet", 190_112),
        line("model", "models/energy.model", 2_904_331),
        line("predictions", "processed-data/predictions.parquet", 51_020),
    ]
}
