//! A synthetic food as a pure function of seed and index.

use super::normal::Normals;
use super::table::{Family, GROUPS, Group, Preparation};
use crate::random::mix;

/// The nutrient columns, in order: grams (`_g`) or milligrams (`_mg`) per 100 g of food.
pub const NUTRIENTS: [&str; 13] = [
    "water_g",
    "protein_g",
    "fat_g",
    "saturated_fat_g",
    "carbohydrate_g",
    "sugars_g",
    "fiber_g",
    "alcohol_g",
    "calcium_mg",
    "iron_mg",
    "sodium_mg",
    "vitamin_c_mg",
    "cholesterol_mg",
];

/// The column to forecast: energy in kcal per 100 g.
pub const ENERGY: &str = "energy_kcal";

/// What the column `source` says of every row.
pub const SOURCE: &str = "synthetic";

/// The largest energy a food can have: pure fat, with room for the error of measurement.
pub const MAX_ENERGY_KCAL: f64 = 950.0;

const FAMILY: u64 = 0xFA31;
const ITEM: u64 = 0x17E3;

/// Positions in [`NUTRIENTS`].
pub(super) const PROTEIN: usize = 1;
pub(super) const FAT: usize = 2;
const SATURATED: usize = 3;
const CARBOHYDRATE: usize = 4;
const SUGARS: usize = 5;
const FIBER: usize = 6;
const ALCOHOL: usize = 7;

/// One food. Amounts are per 100 g; `None` is a value that nobody measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Food {
    /// Its code: at least five digits with leading zeros, unique to the index.
    pub code: String,
    /// What it is called, made of family, variety and preparation.
    pub name: String,
    /// The base food, shared by its varieties and preparations.
    pub family: &'static str,
    /// The food group, a class to learn.
    pub food_group: &'static str,
    /// What was done to it.
    pub preparation: &'static str,
    /// Its nutrients in the order of [`NUTRIENTS`].
    pub nutrients: [Option<f64>; NUTRIENTS.len()],
    /// Its energy in kcal: Atwater's factors with an error of measurement, rounded.
    pub energy_kcal: Option<f64>,
}

/// All foods under one seed.
///
/// ```
/// use datalake_core::sample::Foods;
///
/// let foods = Foods::new(42);
/// let food = foods.food(6);
/// assert_eq!(food.code, "00007");
/// assert_eq!(food, Foods::new(42).food(6));
/// ```
#[derive(Debug)]
pub struct Foods {
    seed: u64,
    /// By group, then by family.
    families: Vec<Vec<Latent>>,
    weight: u64,
}

/// How a family differs from its textbook values, the same for all of its foods.
#[derive(Debug)]
struct Latent {
    parts: [f64; 4],
    sugars: f64,
    saturated: f64,
    minerals: [f64; 5],
}

/// The parts of a food in g; they need not add up to 100 yet.
#[derive(Debug, Clone, Copy)]
struct Parts {
    water: f64,
    protein: f64,
    fat: f64,
    available: f64,
    fiber: f64,
    alcohol: f64,
    ash: f64,
    sugars: f64,
}

impl Foods {
    /// The foods under this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let latent = |group: usize, family: usize| Latent::new(seed, mix(mix(FAMILY, group as u64), family as u64));
        let families = GROUPS
            .iter()
            .enumerate()
            .map(|(index, group)| (0..group.families.len()).map(|family| latent(index, family)).collect())
            .collect();
        Self { seed, families, weight: GROUPS.iter().map(|group| group.weight).sum() }
    }

    /// The names of all food groups.
    pub fn groups() -> impl Iterator<Item = &'static str> {
        GROUPS.iter().map(|group| group.name)
    }

    /// The food of this index.
    #[must_use]
    pub fn food(&self, index: u64) -> Food {
        let mut draws = Normals::new(self.seed, mix(ITEM, index));
        let group_at = self.draw_group(&mut draws);
        let group = &GROUPS[group_at];
        let family_at = draw_index(&mut draws, group.families.len());
        let variety = group.varieties[draw_index(&mut draws, group.varieties.len())];
        let preparation = &group.preparations[draw_index(&mut draws, group.preparations.len())];
        let family = &group.families[family_at];
        let latent = &self.families[group_at][family_at];

        let raw = Parts::draw(family, latent, &mut draws);
        let prepared = raw.prepared(preparation);
        let per_100_g = 100.0 / prepared.total();
        let mut nutrients = prepared.scaled(per_100_g).rounded(family, latent, &mut draws);
        let minerals = draw_minerals(group, family, latent, &mut draws);
        add_minerals(&mut nutrients, minerals, preparation, per_100_g);
        let energy = measured_energy(&nutrients, &mut draws);
        Food {
            code: format!("{:05}", index.saturating_add(1)),
            name: format!("{}, {variety}, {}", family.name, preparation.name),
            family: family.name,
            food_group: group.name,
            preparation: preparation.name,
            energy_kcal: (draws.uniform().unit() >= 0.005).then_some(energy),
            nutrients: forget_some(nutrients, group, &mut draws),
        }
    }

    fn draw_group(&self, draws: &mut Normals) -> usize {
        let mut left = draws.uniform().below(self.weight);
        for (index, group) in GROUPS.iter().enumerate() {
            if left < group.weight {
                return index;
            }
            left -= group.weight;
        }
        GROUPS.len() - 1
    }
}

fn draw_index(draws: &mut Normals, length: usize) -> usize {
    draws.uniform().below(length as u64) as usize
}

impl Latent {
    fn new(seed: u64, stream: u64) -> Self {
        let mut draws = Normals::new(seed, stream);
        Self {
            parts: std::array::from_fn(|_| draws.factor(0.06)),
            sugars: draws.factor(0.10),
            saturated: draws.factor(0.06),
            // Calcium and iron vary little within a group, vitamin C very much.
            minerals: [0.55, 0.45, 0.45, 0.90, 0.30].map(|deviation| draws.factor(deviation)),
        }
    }
}

impl Parts {
    /// The parts of a food of this family before preparation.
    fn draw(family: &Family, latent: &Latent, draws: &mut Normals) -> Self {
        let mut part = |base: f64, deviation: f64| base * draws.factor(deviation);
        let known = family.water + family.protein + family.fat + family.carbohydrate + family.alcohol;
        let available = part((family.carbohydrate - family.fiber).max(0.0) * latent.parts[2], 0.14);
        let share = family.sugars / (family.carbohydrate - family.fiber).max(1e-9);
        Self {
            water: part(family.water, 0.05),
            protein: part(family.protein * latent.parts[0], 0.16),
            fat: part(family.fat * latent.parts[1], 0.30),
            available,
            fiber: part(family.fiber * latent.parts[3], 0.25),
            alcohol: part(family.alcohol, 0.10),
            ash: part((100.0 - known).max(0.0), 0.15),
            sugars: available * part(share * latent.sugars, 0.22).min(1.0),
        }
    }

    fn prepared(self, preparation: &Preparation) -> Self {
        let solids = self.protein + self.fat + self.available + self.fiber + self.ash;
        Self {
            water: self.water * preparation.water_kept + solids * preparation.water_taken,
            fat: self.fat * preparation.fat_kept + preparation.oil,
            available: self.available + preparation.sugar,
            sugars: self.sugars + preparation.sugar,
            // Salt is about 39 % sodium by mass.
            ash: self.ash + preparation.sodium / 390.0,
            ..self
        }
    }

    fn total(&self) -> f64 {
        self.water + self.protein + self.fat + self.available + self.fiber + self.alcohol + self.ash
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            water: self.water * factor,
            protein: self.protein * factor,
            fat: self.fat * factor,
            available: self.available * factor,
            fiber: self.fiber * factor,
            alcohol: self.alcohol * factor,
            ash: self.ash * factor,
            sugars: self.sugars * factor,
        }
    }

    /// The nutrients in g as a table gives them: rounded, carbohydrate by difference, minerals still zero.
    fn rounded(&self, family: &Family, latent: &Latent, draws: &mut Normals) -> [f64; NUTRIENTS.len()] {
        let [water, protein, fat, alcohol, ash] =
            [self.water, self.protein, self.fat, self.alcohol, self.ash].map(|part| round(part, 100.0));
        let carbohydrate = round((100.0 - water - protein - fat - alcohol - ash).max(0.0), 100.0);
        let fiber = round(self.fiber, 10.0).min(carbohydrate);
        let sugars = round(self.sugars, 100.0).min(round(carbohydrate - fiber, 100.0));
        let share = family.saturated / family.fat.max(1e-9) * latent.saturated * draws.factor(0.16);
        let saturated = round(fat * share.min(0.95), 1000.0).min(fat);
        let mut nutrients = [0.0; NUTRIENTS.len()];
        nutrients[..=ALCOHOL].copy_from_slice(&[water, protein, fat, saturated, carbohydrate, sugars, fiber, alcohol]);
        nutrients
    }
}

/// Calcium, iron, sodium, vitamin C and cholesterol in mg per 100 g of the raw food.
fn draw_minerals(group: &Group, family: &Family, latent: &Latent, draws: &mut Normals) -> [f64; 5] {
    let mut medians = group.minerals;
    medians[4] = family.cholesterol.unwrap_or(medians[4]);
    // A few foods are enriched: the long tail of every real table.
    let enriched = draws.uniform().unit() < 0.04;
    std::array::from_fn(|at| {
        let amount = medians[at] * latent.minerals[at] * draws.factor(0.50);
        let tail = libm::exp(1.2 * draws.standard().abs());
        if enriched && at != 2 && at != 4 { amount * tail } else { amount }
    })
}

fn add_minerals(nutrients: &mut [f64; 13], raw: [f64; 5], preparation: &Preparation, per_100_g: f64) {
    let [calcium, iron, sodium, vitamin_c, cholesterol] = raw;
    nutrients[8..].copy_from_slice(&[
        round(calcium * per_100_g, 1.0),
        round(iron * per_100_g, 100.0),
        round((sodium + preparation.sodium) * per_100_g, 1.0),
        round(vitamin_c * preparation.vitamin_c_kept * per_100_g, 10.0),
        round(cholesterol * per_100_g, 1.0),
    ]);
}

/// The energy in kcal by Atwater's factors 4/9/4/7/2, from complete nutrients in the order of [`NUTRIENTS`].
#[must_use]
pub fn atwater(nutrients: &[f64; NUTRIENTS.len()]) -> f64 {
    let available = nutrients[CARBOHYDRATE] - nutrients[FIBER];
    4.0 * nutrients[PROTEIN]
        + 9.0 * nutrients[FAT]
        + 4.0 * available
        + 7.0 * nutrients[ALCOHOL]
        + 2.0 * nutrients[FIBER]
}

/// Atwater's energy as a laboratory would report it: 1.5 % and 1 kcal of error, rounded to whole kcal.
fn measured_energy(nutrients: &[f64; NUTRIENTS.len()], draws: &mut Normals) -> f64 {
    let exact = atwater(nutrients);
    let measured = exact * (1.0 + 0.015 * draws.standard()) + draws.standard();
    if exact < 1.0 { 0.0 } else { round(measured.clamp(0.0, MAX_ENERGY_KCAL), 1.0) }
}

/// Leaves out what a group's laboratories tend not to measure.
fn forget_some(
    nutrients: [f64; NUTRIENTS.len()],
    group: &Group,
    draws: &mut Normals,
) -> [Option<f64>; NUTRIENTS.len()] {
    let [sugars, fiber, vitamin_c, cholesterol] = group.unmeasured;
    let mut shares = [0.002, 0.0, 0.0, 0.04, 0.0, sugars, fiber, 0.12, 0.03, 0.02, 0.015, vitamin_c, cholesterol];
    // Without fat there is no saturated fat to miss.
    if nutrients[FAT] <= 0.0 {
        shares[SATURATED] = 0.0;
    }
    debug_assert_eq!(NUTRIENTS[SUGARS], "sugars_g");
    std::array::from_fn(|at| (draws.uniform().unit() >= shares[at]).then_some(nutrients[at]))
}

/// Rounds to `1 / scale`; never gives -0.
fn round(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale + 0.0
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn complete(food: &Food) -> Option<[f64; NUTRIENTS.len()]> {
        let values: Vec<f64> = food.nutrients.iter().copied().collect::<Option<_>>()?;
        values.try_into().ok()
    }

    proptest! {
        #[test]
        fn parts_stay_within_the_whole(seed in any::<u64>(), index in any::<u64>()) {
            let food = Foods::new(seed).food(index);
            let at = |position: usize| food.nutrients[position].unwrap_or(0.0);
            prop_assert!(food.nutrients.iter().flatten().all(|&value| value >= 0.0 && value.is_finite()));
            let parts = at(0) + at(PROTEIN) + at(FAT) + at(CARBOHYDRATE) + at(ALCOHOL);
            prop_assert!(parts <= 100.0 + 1e-9, "{parts}");
            prop_assert!(at(SUGARS) + at(FIBER) <= at(CARBOHYDRATE) + 1e-9 || food.nutrients[CARBOHYDRATE].is_none());
            prop_assert!(at(SATURATED) <= at(FAT));
            prop_assert!(food.energy_kcal.is_none_or(|energy| (0.0..=MAX_ENERGY_KCAL).contains(&energy)));
            prop_assert!(food.code.len() >= 5);
        }
    }

    #[test]
    fn energy_follows_atwater_within_the_error_of_measurement() {
        let foods = Foods::new(1);
        let mut worst: f64 = 0.0;
        let mut checked = 0;
        for food in (0..4_000).map(|index| foods.food(index)) {
            let (Some(nutrients), Some(energy)) = (complete(&food), food.energy_kcal) else { continue };
            let exact = atwater(&nutrients);
            worst = worst.max((energy - exact).abs() / (1.0 + 0.015 * exact));
            checked += 1;
        }
        assert!(checked > 1_000, "{checked}");
        assert!((2.0..5.5).contains(&worst), "the worst error is {worst} standard deviations");
    }

    #[test]
    fn every_group_comes_up_by_its_weight() {
        let foods = Foods::new(3);
        let mut counts = BTreeMap::new();
        for index in 0..11_000 {
            *counts.entry(foods.food(index).food_group).or_insert(0_u64) += 1;
        }
        for group in GROUPS {
            let expected = 11_000 * group.weight / foods.weight;
            assert!(counts[group.name].abs_diff(expected) < 130, "{}: {}", group.name, counts[group.name]);
        }
    }

    #[test]
    fn codes_are_unique_and_widen_beyond_five_digits() {
        let foods = Foods::new(9);
        let codes: HashSet<String> = (99_900..100_100).map(|index| foods.food(index).code).collect();
        assert_eq!(codes.len(), 200);
        assert!(codes.contains("99999") && codes.contains("100000"));
    }

    #[test]
    fn values_are_missing_by_group() {
        let foods = Foods::new(11);
        let mut without_sugars = BTreeMap::new();
        let mut without_energy = 0;
        for food in (0..8_000).map(|index| foods.food(index)) {
            let (missing, all) = without_sugars.entry(food.food_group).or_insert((0_u32, 0_u32));
            *missing += u32::from(food.nutrients[SUGARS].is_none());
            *all += 1;
            without_energy += u32::from(food.energy_kcal.is_none());
        }
        let share = |group: &str| f64::from(without_sugars[group].0) / f64::from(without_sugars[group].1);
        assert!(share("Beef Products") > 0.4);
        assert!(share("Breakfast Cereals") < 0.1);
        assert!((20..70).contains(&without_energy), "{without_energy}");
    }

    #[test]
    fn another_seed_gives_other_foods() {
        let (one, two) = (Foods::new(1), Foods::new(2));
        let equal = (0..200).filter(|&index| one.food(index).nutrients == two.food(index).nutrients).count();
        assert!(equal < 5, "{equal}");
    }

    #[test]
    fn typical_values_add_up() {
        for family in GROUPS.iter().flat_map(|group| group.families) {
            let known = family.water + family.protein + family.fat + family.carbohydrate + family.alcohol;
            assert!((80.0..=100.3).contains(&known), "{}: {known}", family.name);
            assert!(family.sugars + family.fiber <= family.carbohydrate + 0.01, "{}", family.name);
            assert!(family.saturated <= family.fat, "{}", family.name);
        }
    }
}
