//! The command line of models: how they are trained, evaluated, used and looked at.

use clap::{Args, Subcommand, ValueEnum};
use datalake_core::pipeline::Trees;

use crate::cli::whole;

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// The table: `bucket/key`.
    pub(crate) table: String,
    /// The column to predict.
    #[arg(long)]
    pub(crate) target: String,
    /// What is predicted; taken from the column's type where not given.
    #[arg(long, value_enum)]
    pub(crate) task: Option<Task>,
    /// The model's name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The columns to learn from, with commas between them; their order is of the model.
    #[arg(long, value_delimiter = ',')]
    pub(crate) features: Vec<String>,
    /// Columns never to learn from, with commas between them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) exclude: Vec<String>,
    /// Columns of whole numbers or booleans that are categories, as text is.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) categorical_features: Vec<String>,
    /// Which trainer: forest, linear, logistic or dummy.
    #[arg(long, default_value = "forest")]
    pub(crate) trainer: String,
    /// How many trees; `auto` grows them until more would hardly lower the error out of bag, 30 to 1000.
    #[arg(long, value_name = "N|auto", default_value = "100", value_parser = estimators, allow_negative_numbers = true)]
    pub(crate) n_estimators: serde_json::Value,
    /// Begins no tree after this time: 30s, 5min, 1h.
    #[arg(long, value_name = "TIME")]
    pub(crate) max_time: Option<String>,
    /// Grows no more trees than fit into a model of this size: 50MB, 64MiB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_model_size: Option<String>,
    /// Grows only these of the trees, the last not included, for `model merge` [model: models/NAME.trees-A..B.model].
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) trees: Option<Trees>,
    /// Features tried at each split: all, sqrt, log2, third, a share such as 0.3, or a number [default: auto, which is all
    /// for a regression and sqrt for a classification].
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) max_features: Option<String>,
    /// The deepest that a tree grows.
    #[arg(long, value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub(crate) max_depth: Option<u32>,
    /// The fewest rows in a leaf.
    #[arg(long, default_value_t = 1, value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub(crate) min_samples_leaf: u32,
    /// The fewest rows in a node that is split.
    #[arg(long, value_name = "ROWS", value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub(crate) min_samples_split: Option<u32>,
    /// How good a split is: `squared_error`, `absolute_error`, `poisson`; or `gini`, `entropy`, `log_loss`.
    #[arg(long)]
    pub(crate) criterion: Option<String>,
    /// The share of the rows that each tree draws [default: as many as there are].
    #[arg(long, value_name = "SHARE", value_parser = finite, allow_negative_numbers = true)]
    pub(crate) max_samples: Option<f64>,
    /// Each tree sees every row once, instead of a draw with replacement.
    #[arg(long)]
    pub(crate) no_bootstrap: bool,
    /// A split must lower the impurity, weighted by the share of the rows, by at least this much.
    #[arg(long, value_name = "DECREASE", value_parser = finite, allow_negative_numbers = true)]
    pub(crate) min_impurity_decrease: Option<f64>,
    /// A split leaves at least this share of the weight on either side.
    #[arg(long, value_name = "SHARE", value_parser = finite, allow_negative_numbers = true)]
    pub(crate) min_weight_fraction_leaf: Option<f64>,
    /// The most leaves of a tree; the best splits are made first.
    #[arg(long, value_name = "LEAVES", value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub(crate) max_leaf_nodes: Option<u32>,
    /// Cuts off branches that lower the impurity by less for each of their leaves.
    #[arg(long, value_name = "DECREASE", value_parser = finite, allow_negative_numbers = true)]
    pub(crate) ccp_alpha: Option<f64>,
    /// How predictions may move with a feature: 1 never down, -1 never up.
    #[arg(long, value_name = "FEATURE=DIRECTION", value_delimiter = ',', value_parser = named::<i8>, allow_hyphen_values = true)]
    pub(crate) monotonic_cst: Vec<(String, i8)>,
    /// How thresholds are found: `best`, or `random` (extremely randomized trees).
    #[arg(long)]
    pub(crate) splitter: Option<String>,
    /// What rows weigh by their class: `balanced`, `balanced_subsample`, or a number for each class [default: all the same].
    #[arg(long, value_name = "WORD|CLASS=WEIGHT,...")]
    pub(crate) class_weight: Option<String>,
    /// A column of weights: what an error in a row costs.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) weights: Option<String>,
    /// The seed of forest and split.
    #[arg(long, default_value_t = 42, value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// The share of rows held out.
    #[arg(long, default_value_t = 0.2, value_parser = finite, allow_negative_numbers = true)]
    pub(crate) test: f64,
    /// A column whose equal values stay on one side of the split.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) split_by: Option<String>,
    /// Where the model goes [default: models/NAME.model].
    #[arg(long, value_name = "bucket/key")]
    pub(crate) model: Option<String>,
    /// How the model file is packed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) compression: Compression,
}

/// How a model file is packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    /// As it is: opened at once, and mapped where the file is local.
    #[default]
    None,
    /// By zstd: about a third of the size.
    Zstd,
}

impl From<Compression> for datalake_core::ml::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Zstd => Self::Zstd,
        }
    }
}

/// A number, and neither NaN nor infinite.
fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "wanted is a number".to_owned())
}

/// A name and its value, with `=` between them.
pub(crate) fn named<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(String, T), String> {
    let (name, value) = text.rsplit_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    let value = value.parse().map_err(|cause| format!("`{value}` of `{name}`: {cause}"))?;
    Ok((name.to_owned(), value))
}

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// A number.
    Regression,
    /// One of a set of classes.
    Classification,
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The model: `bucket/key`, or its name.
    pub(crate) model: String,
    /// Trainers to compare with [default: dummy, and linear or logistic].
    #[arg(long, value_delimiter = ',')]
    pub(crate) baselines: Vec<String>,
    /// Cross-validates with so many folds too.
    #[arg(long, value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub(crate) folds: Option<usize>,
    /// Cross-validates so often, with other folds each time.
    #[arg(long, default_value_t = 1, requires = "folds", value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub(crate) repeats: u32,
    /// Where the evaluation goes [default: processed-data/evaluations/MODEL.json].
    #[arg(long, value_name = "bucket/key")]
    pub(crate) to: Option<String>,
    /// Shuffles each column so often, to see what it is worth on the rows held out; 0 leaves that out.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub(crate) permutations: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// The model: `bucket/key`, or its name.
    pub(crate) model: String,
    /// The table: `bucket/key`.
    pub(crate) table: String,
    /// Where the predictions go [default: processed-data/predictions/NAME.parquet].
    #[arg(long, value_name = "bucket/key")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Lists the models of the lake.
    List,
    /// Shows a model: task, features, parameters, digest, lineage.
    Show {
        /// The model: `bucket/key`, or its name.
        model: String,
    },
    /// Measures how much worse a model predicts when one column is shuffled, with 95% intervals.
    #[command(after_help = "Example:
  datalake model importances calories                   # on the rows held out
  datalake model importances calories --out-of-bag      # each tree on the rows that it has not seen")]
    Importances(Importances),
    /// Prints the digest of a model: equal for equal tables, parameters and seeds, wherever it was trained.
    Digest {
        /// The model: `bucket/key`, or its name.
        model: String,
    },
    /// Joins the parts of a forest that `train --trees` made; the digest is that of the forest trained at once.
    #[command(after_help = "Example:
  datalake train processed-data/foods.parquet --target energy_kcal --exclude food_code,name,family --trees 0..50
  datalake train processed-data/foods.parquet --target energy_kcal --exclude food_code,name,family --trees 50..100
  datalake model merge energy_kcal.trees-0..50 energy_kcal.trees-50..100 --model energy_kcal")]
    Merge {
        /// The parts: `bucket/key`, or their names.
        #[arg(required = true)]
        parts: Vec<String>,
        /// The whole model: `bucket/key`, or its name.
        #[arg(long)]
        model: String,
        /// How the model file is packed.
        #[arg(long, value_enum, default_value_t)]
        compression: Compression,
    },
    /// Computes the digest of a model anew and compares it with what its file says.
    Verify {
        /// The models: `bucket/key`, or their names.
        #[arg(required = true)]
        models: Vec<String>,
    },
    /// Prints a model's card: what it is for, what it learnt from, how good it is, where it comes from.
    #[command(after_help = "Examples:
  datalake model card calories > calories.md
  datalake model card calories --html > calories.html")]
    Card {
        /// The model: `bucket/key`, or its name.
        model: String,
        /// As a page of HTML instead of Markdown.
        #[arg(long)]
        html: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Importances {
    /// The model: `bucket/key`, or its name.
    pub(crate) model: String,
    /// Measures each tree of a forest by the rows that it has not seen, instead of the rows held out.
    #[arg(long)]
    pub(crate) out_of_bag: bool,
    /// How often each column is shuffled.
    #[arg(long, default_value_t = 5, value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub(crate) n_repeats: u32,
    /// What tells how much that harms [default: rmse; or accuracy].
    #[arg(long)]
    pub(crate) metric: Option<String>,
    /// The seed of the orders.
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) seed: u64,
}

fn estimators(text: &str) -> Result<serde_json::Value, String> {
    match text {
        "auto" => Ok(text.into()),
        number => {
            number.parse::<u32>().map(Into::into).map_err(|_| "wanted is a number of trees, or `auto`".to_owned())
        }
    }
}
