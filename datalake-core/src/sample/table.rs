//! What the synthetic foods are modelled on: groups, families and preparations with rounded, typical values.
//!
//! The groups follow those of the USDA's food composition tables; the numbers are rough, per 100 g.

/// A food group and what its members have in common.
#[derive(Debug)]
pub(super) struct Group {
    /// Its name in the column `food_group`.
    pub(super) name: &'static str,
    /// How often it comes up, beside the other groups.
    pub(super) weight: u64,
    /// Medians of calcium, iron, sodium, vitamin C and cholesterol, in mg.
    pub(super) minerals: [f64; 5],
    /// The shares of sugars, fiber, vitamin C and cholesterol values that nobody measured.
    pub(super) unmeasured: [f64; 4],
    /// Words that tell foods of one family apart.
    pub(super) varieties: &'static [&'static str],
    /// What is done to them.
    pub(super) preparations: &'static [Preparation],
    /// Its base foods.
    pub(super) families: &'static [Family],
}

/// A base food before preparation, in g per 100 g.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) water: f64,
    pub(super) protein: f64,
    pub(super) fat: f64,
    pub(super) saturated: f64,
    pub(super) carbohydrate: f64,
    pub(super) sugars: f64,
    pub(super) fiber: f64,
    pub(super) alcohol: f64,
    /// Its own median in mg, where it differs from the group's.
    pub(super) cholesterol: Option<f64>,
}

/// What a preparation takes away and adds.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) name: &'static str,
    /// The share of the food's own water that stays.
    pub(super) water_kept: f64,
    /// Water taken up, in g per g of solids.
    pub(super) water_taken: f64,
    /// The share of the fat that stays.
    pub(super) fat_kept: f64,
    /// Oil added, in g per 100 g of raw food.
    pub(super) oil: f64,
    /// Sugar added, in g per 100 g of raw food.
    pub(super) sugar: f64,
    /// Sodium added, in mg per 100 g of raw food.
    pub(super) sodium: f64,
    /// The share of vitamin C that stays.
    pub(super) vitamin_c_kept: f64,
}

/// A family from water, protein, fat, saturated fat, carbohydrate, sugars and fiber.
const fn food(name: &'static str, parts: [f64; 7]) -> Family {
    let [water, protein, fat, saturated, carbohydrate, sugars, fiber] = parts;
    Family { name, water, protein, fat, saturated, carbohydrate, sugars, fiber, alcohol: 0.0, cholesterol: None }
}

impl Family {
    const fn alcohol(mut self, grams: f64) -> Self {
        self.alcohol = grams;
        self
    }

    const fn cholesterol(mut self, milligrams: f64) -> Self {
        self.cholesterol = Some(milligrams);
        self
    }
}

impl Preparation {
    const fn new(name: &'static str, water_kept: f64, vitamin_c_kept: f64) -> Self {
        Self { name, water_kept, water_taken: 0.0, fat_kept: 1.0, oil: 0.0, sugar: 0.0, sodium: 0.0, vitamin_c_kept }
    }

    const fn takes_up(mut self, water: f64) -> Self {
        self.water_taken = water;
        self
    }

    const fn adds(mut self, oil: f64, sugar: f64, sodium: f64) -> Self {
        self.oil = oil;
        self.sugar = sugar;
        self.sodium = sodium;
        self
    }

    const fn keeps_fat(mut self, share: f64) -> Self {
        self.fat_kept = share;
        self
    }
}

const RAW: Preparation = Preparation::new("raw", 1.0, 1.0);
const PLAIN: Preparation = Preparation::new("plain", 1.0, 1.0);
const BOILED: Preparation = Preparation::new("boiled", 1.0, 0.55).takes_up(0.15);
const SOAKED_AND_BOILED: Preparation = Preparation::new("boiled", 1.0, 0.3).takes_up(1.8);
const FRIED: Preparation = Preparation::new("fried", 0.7, 0.5).adds(8.0, 0.0, 180.0);
const ROASTED: Preparation = Preparation::new("roasted", 0.75, 0.6).adds(1.0, 0.0, 40.0);
const GRILLED: Preparation = Preparation::new("grilled", 0.78, 0.6).keeps_fat(0.9);
const STEWED: Preparation = Preparation::new("stewed", 0.85, 0.5).keeps_fat(0.95);
const DRIED: Preparation = Preparation::new("dried", 0.03, 0.35);
/// Dried before it is weighed: spices.
const AS_SOLD: Preparation = Preparation::new("dried", 1.0, 1.0);
const CANNED: Preparation = Preparation::new("canned", 1.05, 0.5).takes_up(0.1).adds(0.0, 0.0, 260.0);
const FROZEN: Preparation = Preparation::new("frozen", 1.02, 0.8);
const SMOKED: Preparation = Preparation::new("smoked", 0.85, 0.8).adds(0.0, 0.0, 750.0);
const SALTED: Preparation = Preparation::new("salted", 0.98, 1.0).adds(0.0, 0.0, 420.0);
const SWEETENED: Preparation = Preparation::new("sweetened", 1.0, 0.8).adds(0.0, 12.0, 5.0);
const REDUCED_FAT: Preparation = Preparation::new("reduced fat", 1.1, 1.0).keeps_fat(0.5);
const UNSALTED: Preparation = Preparation::new("unsalted", 1.0, 1.0);
const TOASTED: Preparation = Preparation::new("toasted", 0.6, 0.7);
const FROM_CONCENTRATE: Preparation = Preparation::new("from concentrate", 1.05, 0.7);
const READY: Preparation = Preparation::new("ready to serve", 1.0, 1.0);
const CONDENSED: Preparation = Preparation::new("condensed", 0.5, 0.9).adds(0.0, 0.0, 250.0);

const MEAT: &[Preparation] = &[RAW, ROASTED, GRILLED, STEWED, FRIED];
const CUTS: &[&str] = &["lean only", "lean and fat", "bone-in", "boneless", "trimmed to 1/8\" fat"];

/// All groups.
pub(super) static GROUPS: &[Group] = &[
    Group {
        name: "Dairy and Egg Products",
        weight: 6,
        minerals: [190.0, 0.25, 130.0, 0.5, 28.0],
        unmeasured: [0.25, 0.02, 0.10, 0.03],
        varieties: &["organic", "pasteurized", "fresh", "crème style", "fortified"],
        preparations: &[PLAIN, REDUCED_FAT, SALTED, SWEETENED],
        families: &[
            food("Milk", [87.8, 3.3, 3.4, 1.9, 4.8, 4.8, 0.0]),
            food("Yogurt", [84.0, 4.5, 3.1, 2.0, 6.5, 6.2, 0.0]),
            food("Cheddar", [37.0, 24.5, 33.0, 19.0, 2.2, 0.5, 0.0]).cholesterol(99.0),
            food("Mozzarella", [50.0, 22.2, 22.1, 13.1, 2.4, 1.0, 0.0]).cholesterol(78.0),
            food("Cottage cheese", [80.0, 11.5, 4.0, 1.8, 3.2, 2.6, 0.0]),
            food("Cream", [66.0, 2.6, 27.0, 16.5, 3.6, 3.4, 0.0]).cholesterol(95.0),
            food("Milk powder", [3.0, 30.0, 18.0, 11.0, 43.0, 42.0, 0.0]).cholesterol(70.0),
            food("Eggs", [76.0, 12.5, 9.6, 3.1, 0.8, 0.4, 0.0]).cholesterol(372.0),
            food("Egg white", [87.5, 10.8, 0.2, 0.0, 0.8, 0.7, 0.0]).cholesterol(0.0),
        ],
    },
    Group {
        name: "Spices and Herbs",
        weight: 2,
        minerals: [640.0, 17.0, 55.0, 15.0, 0.0],
        unmeasured: [0.45, 0.08, 0.15, 0.02],
        varieties: &["ground", "whole", "crushed", "leaves", "seed"],
        preparations: &[AS_SOLD],
        families: &[
            food("Basil", [10.4, 23.0, 4.1, 2.2, 47.8, 1.7, 37.7]),
            food("Black pepper", [12.5, 10.4, 3.3, 1.4, 64.0, 0.6, 25.3]),
            food("Cinnamon", [10.6, 4.0, 1.2, 0.4, 80.6, 2.2, 53.1]),
            food("Cumin", [8.1, 17.8, 22.3, 1.5, 44.2, 2.3, 10.5]),
            food("Oregano", [9.9, 9.0, 4.3, 1.6, 68.9, 4.1, 42.5]),
            food("Paprika", [11.2, 14.1, 12.9, 2.1, 54.0, 10.3, 34.9]),
            food("Turmeric", [12.9, 9.7, 3.3, 1.8, 67.1, 3.2, 22.7]),
            food("Thyme", [7.8, 9.1, 7.4, 2.7, 63.9, 1.7, 37.0]),
        ],
    },
    Group {
        name: "Fats and Oils",
        weight: 4,
        minerals: [4.0, 0.08, 60.0, 0.0, 0.0],
        unmeasured: [0.35, 0.10, 0.20, 0.08],
        varieties: &["refined", "cold pressed", "industrial", "household"],
        preparations: &[PLAIN],
        families: &[
            food("Sunflower oil", [0.0, 0.0, 100.0, 10.3, 0.0, 0.0, 0.0]),
            food("Olive oil", [0.0, 0.0, 100.0, 13.8, 0.0, 0.0, 0.0]),
            food("Coconut oil", [0.0, 0.0, 99.1, 82.5, 0.0, 0.0, 0.0]),
            food("Rapeseed oil", [0.0, 0.0, 100.0, 7.4, 0.0, 0.0, 0.0]),
            food("Butter", [16.2, 0.9, 81.1, 51.4, 0.1, 0.1, 0.0]).cholesterol(215.0),
            food("Lard", [0.0, 0.0, 100.0, 39.2, 0.0, 0.0, 0.0]).cholesterol(95.0),
            food("Margarine", [17.0, 0.2, 80.7, 15.2, 0.7, 0.0, 0.0]),
            food("Mayonnaise", [21.0, 1.0, 74.9, 11.7, 0.6, 0.6, 0.0]).cholesterol(42.0),
            food("Salad dressing", [48.0, 1.0, 38.0, 5.6, 9.5, 7.5, 0.4]),
        ],
    },
    Group {
        name: "Poultry Products",
        weight: 8,
        minerals: [12.0, 1.1, 75.0, 0.0, 82.0],
        unmeasured: [0.45, 0.05, 0.25, 0.02],
        varieties: CUTS,
        preparations: MEAT,
        families: &[
            food("Chicken breast", [74.5, 22.0, 2.4, 0.6, 0.0, 0.0, 0.0]),
            food("Chicken thigh", [73.0, 18.6, 7.9, 2.1, 0.0, 0.0, 0.0]),
            food("Chicken wing", [68.0, 18.3, 12.6, 3.5, 0.0, 0.0, 0.0]),
            food("Turkey breast", [74.0, 23.5, 1.5, 0.4, 0.1, 0.1, 0.0]),
            food("Turkey leg", [72.7, 19.5, 6.7, 2.1, 0.0, 0.0, 0.0]),
            food("Duck", [62.0, 15.5, 21.0, 7.0, 0.0, 0.0, 0.0]),
            food("Goose", [58.0, 17.2, 24.0, 7.4, 0.0, 0.0, 0.0]),
            food("Chicken liver", [76.5, 16.9, 4.8, 1.6, 0.7, 0.0, 0.0]).cholesterol(345.0),
        ],
    },
    Group {
        name: "Soups, Sauces, and Gravies",
        weight: 8,
        minerals: [16.0, 0.5, 360.0, 1.2, 3.0],
        unmeasured: [0.20, 0.10, 0.15, 0.05],
        varieties: &["home style", "chunky", "thick", "low sodium", "with herbs"],
        preparations: &[READY, CONDENSED, CANNED, DRIED],
        families: &[
            food("Tomato soup", [88.0, 0.9, 0.7, 0.2, 9.0, 5.5, 0.7]),
            food("Chicken noodle soup", [91.0, 2.0, 1.1, 0.3, 4.5, 0.6, 0.4]),
            food("Vegetable soup", [91.5, 1.4, 0.8, 0.2, 5.2, 1.9, 0.9]),
            food("Cream of mushroom soup", [87.0, 1.5, 5.0, 1.4, 5.5, 0.5, 0.5]),
            food("Bean soup", [84.0, 4.0, 1.5, 0.4, 9.0, 1.4, 3.2]),
            food("Tomato sauce", [89.0, 1.4, 1.3, 0.2, 7.0, 4.8, 1.6]),
            food("Soy sauce", [70.0, 8.1, 0.5, 0.1, 5.0, 0.6, 0.8]),
            food("Brown gravy", [88.0, 2.2, 2.6, 1.1, 5.4, 0.3, 0.4]),
            food("Barbecue sauce", [56.0, 0.8, 0.6, 0.1, 39.5, 32.0, 0.9]),
        ],
    },
    Group {
        name: "Sausages and Luncheon Meats",
        weight: 4,
        minerals: [14.0, 1.2, 950.0, 0.3, 62.0],
        unmeasured: [0.20, 0.04, 0.25, 0.03],
        varieties: &["sliced", "smoked", "spiced", "skinless", "coarse"],
        preparations: &[PLAIN, REDUCED_FAT, GRILLED],
        families: &[
            food("Bratwurst", [53.0, 13.5, 28.5, 9.8, 2.3, 0.5, 0.0]),
            food("Salami", [45.0, 20.0, 28.5, 10.5, 2.0, 0.8, 0.0]),
            food("Bologna", [54.0, 13.0, 25.0, 9.5, 4.3, 2.2, 0.0]),
            food("Frankfurter", [56.0, 11.5, 26.5, 10.2, 3.3, 1.6, 0.0]),
            food("Liver sausage", [53.0, 14.5, 27.0, 10.0, 2.8, 0.7, 0.3]).cholesterol(160.0),
            food("Turkey ham", [73.0, 17.5, 4.5, 1.4, 1.9, 1.2, 0.0]),
            food("Chorizo", [36.0, 23.5, 34.5, 13.1, 2.0, 0.4, 0.2]),
        ],
    },
    Group {
        name: "Breakfast Cereals",
        weight: 6,
        minerals: [60.0, 14.0, 330.0, 12.0, 0.0],
        unmeasured: [0.04, 0.02, 0.06, 0.12],
        varieties: &["fortified", "honey", "with raisins", "whole grain", "cocoa", "family size"],
        preparations: &[PLAIN, SWEETENED, TOASTED],
        families: &[
            food("Corn flakes", [3.5, 7.0, 0.6, 0.2, 84.5, 8.0, 3.0]),
            food("Wheat bran flakes", [3.2, 10.0, 2.0, 0.4, 79.0, 17.0, 17.0]),
            food("Muesli", [7.0, 10.0, 6.5, 1.1, 73.0, 21.0, 8.5]),
            food("Granola", [4.0, 11.0, 20.0, 3.4, 62.0, 23.0, 7.5]),
            food("Puffed rice", [3.5, 6.0, 0.8, 0.3, 87.0, 9.0, 1.0]),
            food("Oat rings", [3.6, 11.0, 6.0, 1.2, 74.0, 6.0, 9.4]),
            food("Shredded wheat", [5.5, 11.0, 2.0, 0.4, 79.5, 1.0, 12.0]),
            food("Rolled oats", [9.5, 13.5, 6.7, 1.2, 67.7, 1.0, 10.1]),
        ],
    },
    Group {
        name: "Fruits and Fruit Juices",
        weight: 8,
        minerals: [11.0, 0.26, 2.0, 16.0, 0.0],
        unmeasured: [0.08, 0.04, 0.01, 0.01],
        varieties: &["red", "green", "ripe", "peeled", "organic", "small"],
        preparations: &[RAW, RAW, DRIED, CANNED, FROZEN, SWEETENED, FROM_CONCENTRATE],
        families: &[
            food("Apples", [85.6, 0.3, 0.2, 0.0, 13.8, 10.4, 2.4]),
            food("Bananas", [74.9, 1.1, 0.3, 0.1, 22.8, 12.2, 2.6]),
            food("Oranges", [86.8, 0.9, 0.1, 0.0, 11.8, 9.4, 2.4]),
            food("Strawberries", [91.0, 0.7, 0.3, 0.0, 7.7, 4.9, 2.0]),
            food("Grapes", [80.5, 0.7, 0.2, 0.1, 18.1, 15.5, 0.9]),
            food("Mangos", [83.5, 0.8, 0.4, 0.1, 15.3, 13.7, 1.6]),
            food("Pineapple", [86.0, 0.5, 0.1, 0.0, 13.1, 9.9, 1.4]),
            food("Peaches", [88.9, 0.9, 0.3, 0.0, 9.9, 8.4, 1.5]),
            food("Orange juice", [88.3, 0.7, 0.2, 0.0, 10.4, 8.4, 0.2]),
            food("Apple juice", [88.2, 0.1, 0.1, 0.0, 11.3, 9.6, 0.2]),
            food("Avocados", [73.2, 2.0, 14.7, 2.1, 8.5, 0.7, 6.7]),
            food("Dates", [21.0, 2.0, 0.3, 0.0, 75.0, 65.0, 7.5]),
        ],
    },
    Group {
        name: "Pork Products",
        weight: 7,
        minerals: [11.0, 0.95, 60.0, 0.4, 72.0],
        unmeasured: [0.40, 0.05, 0.15, 0.01],
        varieties: CUTS,
        preparations: &[RAW, ROASTED, GRILLED, STEWED, FRIED, SMOKED],
        families: &[
            food("Pork loin", [70.0, 21.0, 7.5, 2.6, 0.0, 0.0, 0.0]),
            food("Pork shoulder", [66.0, 18.0, 14.8, 5.2, 0.0, 0.0, 0.0]),
            food("Pork belly", [38.0, 10.0, 51.0, 18.8, 0.0, 0.0, 0.0]),
            food("Pork ribs", [60.0, 16.0, 22.8, 7.9, 0.0, 0.0, 0.0]),
            food("Pork tenderloin", [75.5, 21.5, 2.3, 0.8, 0.0, 0.0, 0.0]),
            food("Ham", [69.0, 19.0, 8.5, 2.9, 1.6, 0.5, 0.0]),
            food("Bacon", [40.0, 13.5, 43.0, 14.5, 0.9, 0.6, 0.0]),
        ],
    },
    Group {
        name: "Vegetables and Vegetable Products",
        weight: 12,
        minerals: [32.0, 0.85, 25.0, 14.0, 0.0],
        unmeasured: [0.18, 0.04, 0.01, 0.01],
        varieties: &["green", "red", "baby", "cut in 1/2\" dice", "organic", "peeled", "jalapeño style"],
        preparations: &[RAW, RAW, BOILED, FROZEN, CANNED, FRIED, ROASTED],
        families: &[
            food("Broccoli", [89.3, 2.8, 0.4, 0.1, 6.6, 1.7, 2.6]),
            food("Carrots", [88.3, 0.9, 0.2, 0.0, 9.6, 4.7, 2.8]),
            food("Potatoes", [79.2, 2.1, 0.1, 0.0, 17.5, 0.8, 2.1]),
            food("Spinach", [91.4, 2.9, 0.4, 0.1, 3.6, 0.4, 2.2]),
            food("Tomatoes", [94.5, 0.9, 0.2, 0.0, 3.9, 2.6, 1.2]),
            food("Onions", [89.1, 1.1, 0.1, 0.0, 9.3, 4.2, 1.7]),
            food("Sweet corn", [76.0, 3.3, 1.4, 0.3, 18.7, 6.3, 2.0]),
            food("Bell peppers", [92.5, 0.9, 0.3, 0.1, 5.8, 3.8, 1.9]),
            food("Cabbage", [92.2, 1.3, 0.1, 0.0, 5.8, 3.2, 2.5]),
            food("Mushrooms", [92.4, 3.1, 0.3, 0.1, 3.3, 2.0, 1.0]),
            food("Sweet potatoes", [77.3, 1.6, 0.1, 0.0, 20.1, 4.2, 3.0]),
            food("Pumpkin", [91.6, 1.0, 0.1, 0.1, 6.5, 2.8, 0.5]),
            food("Green peas", [78.9, 5.4, 0.4, 0.1, 14.5, 5.7, 5.7]),
        ],
    },
    Group {
        name: "Nut and Seed Products",
        weight: 3,
        minerals: [90.0, 3.6, 6.0, 0.7, 0.0],
        unmeasured: [0.20, 0.03, 0.06, 0.01],
        varieties: &["blanched", "whole", "chopped", "with skin", "slivered"],
        preparations: &[RAW, ROASTED, SALTED, UNSALTED],
        families: &[
            food("Almonds", [4.4, 21.2, 49.9, 3.8, 21.6, 4.4, 12.5]),
            food("Walnuts", [4.1, 15.2, 65.2, 6.1, 13.7, 2.6, 6.7]),
            food("Cashews", [5.2, 18.2, 43.9, 7.8, 30.2, 5.9, 3.3]),
            food("Hazelnuts", [5.3, 15.0, 60.8, 4.5, 16.7, 4.3, 9.7]),
            food("Sunflower seeds", [4.7, 20.8, 51.5, 4.5, 20.0, 2.6, 8.6]),
            food("Sesame seeds", [4.7, 17.7, 49.7, 7.0, 23.5, 0.3, 11.8]),
            food("Chestnuts", [52.0, 2.4, 2.3, 0.4, 43.0, 9.0, 5.1]),
            food("Coconut meat", [47.0, 3.3, 33.5, 29.7, 15.2, 6.2, 9.0]),
        ],
    },
    Group {
        name: "Beef Products",
        weight: 9,
        minerals: [11.0, 2.3, 62.0, 0.0, 74.0],
        unmeasured: [0.50, 0.05, 0.20, 0.01],
        varieties: CUTS,
        preparations: &[RAW, ROASTED, GRILLED, STEWED],
        families: &[
            food("Beef chuck", [68.0, 20.0, 11.0, 4.4, 0.0, 0.0, 0.0]),
            food("Beef sirloin", [69.0, 21.5, 8.3, 3.3, 0.0, 0.0, 0.0]),
            food("Beef rib", [60.0, 17.5, 21.5, 8.8, 0.0, 0.0, 0.0]),
            food("Beef round", [72.0, 22.5, 4.5, 1.6, 0.0, 0.0, 0.0]),
            food("Beef brisket", [62.0, 18.5, 18.5, 7.3, 0.0, 0.0, 0.0]),
            food("Ground beef", [62.0, 17.2, 20.0, 7.7, 0.0, 0.0, 0.0]),
            food("Beef liver", [70.8, 20.4, 3.6, 1.2, 3.9, 0.0, 0.0]).cholesterol(275.0),
        ],
    },
    Group {
        name: "Beverages",
        weight: 5,
        minerals: [7.0, 0.1, 7.0, 0.6, 0.0],
        unmeasured: [0.15, 0.08, 0.10, 0.06],
        varieties: &["chilled", "light", "bottled", "from powder", "unsweetened"],
        preparations: &[READY, SWEETENED],
        families: &[
            food("Coffee", [99.3, 0.1, 0.0, 0.0, 0.2, 0.0, 0.0]),
            food("Tea", [99.6, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0]),
            food("Mineral water", [99.95, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
            food("Cola", [89.5, 0.0, 0.1, 0.0, 10.3, 9.9, 0.0]),
            food("Lemonade", [89.3, 0.1, 0.1, 0.0, 10.4, 9.8, 0.1]),
            food("Energy drink", [87.6, 0.3, 0.0, 0.0, 11.5, 10.5, 0.0]),
            food("Beer", [92.0, 0.4, 0.0, 0.0, 3.4, 0.2, 0.0]).alcohol(3.9),
            food("Wine", [86.6, 0.1, 0.0, 0.0, 2.7, 0.8, 0.0]).alcohol(10.4),
            food("Spirits", [64.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0]).alcohol(35.8),
            food("Cocoa drink", [82.0, 3.4, 2.3, 1.4, 10.8, 9.6, 1.0]).cholesterol(8.0),
            food("Soy drink", [90.0, 2.9, 1.7, 0.2, 4.4, 2.5, 0.5]),
        ],
    },
    Group {
        name: "Finfish and Shellfish Products",
        weight: 4,
        minerals: [26.0, 0.8, 95.0, 0.6, 60.0],
        unmeasured: [0.45, 0.05, 0.25, 0.02],
        varieties: &["wild", "farmed", "fillet", "whole", "mixed species"],
        preparations: &[RAW, ROASTED, FRIED, CANNED, SMOKED],
        families: &[
            food("Cod", [81.2, 17.8, 0.7, 0.1, 0.0, 0.0, 0.0]),
            food("Salmon", [67.0, 20.2, 11.8, 2.7, 0.0, 0.0, 0.0]),
            food("Tuna", [73.0, 24.0, 1.2, 0.3, 0.0, 0.0, 0.0]),
            food("Herring", [72.0, 18.0, 9.0, 2.0, 0.0, 0.0, 0.0]),
            food("Mackerel", [64.0, 18.8, 15.5, 3.5, 0.0, 0.0, 0.0]),
            food("Shrimp", [78.5, 18.5, 0.9, 0.2, 0.7, 0.0, 0.0]).cholesterol(150.0),
            food("Mussels", [80.6, 11.9, 2.2, 0.4, 3.7, 0.0, 0.0]),
            food("Trout", [72.7, 20.5, 5.4, 1.2, 0.0, 0.0, 0.0]),
        ],
    },
    Group {
        name: "Legumes and Legume Products",
        weight: 5,
        minerals: [75.0, 5.2, 14.0, 1.8, 0.0],
        unmeasured: [0.25, 0.03, 0.03, 0.01],
        varieties: &["red", "green", "split", "small", "mature seeds"],
        preparations: &[RAW, SOAKED_AND_BOILED, SOAKED_AND_BOILED, CANNED, ROASTED],
        families: &[
            food("Lentils", [9.0, 24.6, 1.1, 0.2, 62.6, 2.0, 10.7]),
            food("Chickpeas", [8.5, 20.5, 6.0, 0.6, 62.0, 10.7, 12.2]),
            food("Black beans", [11.0, 21.6, 1.4, 0.4, 62.4, 2.1, 15.5]),
            food("Kidney beans", [11.8, 23.6, 0.8, 0.1, 60.0, 2.2, 24.9]),
            food("Soybeans", [8.5, 36.5, 19.9, 2.9, 30.2, 7.3, 9.3]),
            food("Peanuts", [6.5, 25.8, 49.2, 6.3, 16.1, 4.7, 8.5]),
            food("Split peas", [9.0, 24.0, 1.2, 0.2, 61.6, 3.1, 22.2]),
            food("Tofu", [80.0, 10.0, 5.5, 0.8, 2.6, 0.6, 0.8]),
        ],
    },
    Group {
        name: "Baked Products",
        weight: 10,
        minerals: [60.0, 2.4, 410.0, 0.1, 12.0],
        unmeasured: [0.18, 0.03, 0.10, 0.06],
        varieties: &["whole wheat", "enriched", "glazed", "home style", "multigrain", "12\" size"],
        preparations: &[PLAIN, TOASTED, FROZEN, REDUCED_FAT],
        families: &[
            food("White bread", [36.0, 9.0, 3.3, 0.7, 49.4, 5.7, 2.4]),
            food("Whole wheat bread", [38.0, 12.5, 3.5, 0.7, 42.7, 4.4, 6.0]),
            food("Croissants", [23.2, 8.2, 21.0, 11.7, 45.8, 11.3, 2.6]),
            food("Muffins", [26.0, 5.0, 16.5, 3.0, 51.0, 28.0, 1.4]),
            food("Crackers", [4.0, 8.5, 16.5, 3.2, 67.5, 4.5, 2.9]),
            food("Cookies", [4.5, 5.3, 22.5, 8.5, 65.5, 34.0, 2.2]),
            food("Sponge cake", [29.5, 5.4, 4.0, 1.2, 60.0, 36.5, 0.6]),
            food("Apple pie", [48.0, 2.2, 12.0, 3.8, 37.0, 16.0, 1.6]),
            food("Doughnuts", [20.0, 5.5, 23.0, 8.5, 50.0, 22.0, 1.6]),
            food("Tortillas", [32.0, 8.0, 7.0, 2.2, 50.0, 3.0, 3.2]),
        ],
    },
    Group {
        name: "Sweets",
        weight: 5,
        minerals: [45.0, 0.8, 55.0, 0.2, 3.0],
        unmeasured: [0.10, 0.08, 0.12, 0.08],
        varieties: &["dark", "assorted", "sugar coated", "filled", "vanilla"],
        preparations: &[PLAIN, FROZEN, REDUCED_FAT],
        families: &[
            food("Milk chocolate", [1.5, 7.7, 29.7, 18.5, 59.4, 51.5, 3.4]).cholesterol(23.0),
            food("Dark chocolate", [1.2, 6.5, 38.0, 22.5, 51.5, 36.0, 8.5]),
            food("Hard candies", [1.3, 0.0, 0.2, 0.0, 98.0, 63.0, 0.0]),
            food("Honey", [17.1, 0.3, 0.0, 0.0, 82.4, 82.1, 0.2]),
            food("Jam", [30.5, 0.4, 0.1, 0.0, 68.9, 48.5, 1.1]),
            food("Ice cream", [61.0, 3.5, 11.0, 6.8, 23.6, 21.2, 0.7]).cholesterol(44.0),
            food("Caramels", [8.5, 4.6, 8.1, 2.5, 77.0, 65.5, 0.0]),
            food("Sugar", [0.2, 0.0, 0.0, 0.0, 99.7, 99.0, 0.0]),
            food("Pudding", [74.0, 2.5, 3.5, 1.5, 19.0, 14.5, 0.6]),
        ],
    },
    Group {
        name: "Cereal Grains and Pasta",
        weight: 4,
        minerals: [24.0, 2.6, 5.0, 0.0, 0.0],
        unmeasured: [0.25, 0.03, 0.10, 0.04],
        varieties: &["long-grain", "whole", "enriched", "pearled", "fresh"],
        preparations: &[RAW, SOAKED_AND_BOILED, SOAKED_AND_BOILED],
        families: &[
            food("White rice", [11.6, 7.1, 0.7, 0.2, 80.0, 0.1, 1.3]),
            food("Brown rice", [11.8, 7.5, 3.2, 0.6, 76.2, 0.7, 3.6]),
            food("Spaghetti", [9.9, 13.0, 1.5, 0.3, 74.7, 2.7, 3.2]),
            food("Wheat flour", [12.0, 10.5, 1.1, 0.2, 76.0, 0.3, 2.9]),
            food("Barley", [9.5, 11.5, 1.7, 0.4, 75.8, 0.8, 16.5]),
            food("Quinoa", [13.3, 14.1, 6.1, 0.7, 64.2, 1.8, 7.0]),
            food("Cornmeal", [10.3, 8.1, 3.6, 0.5, 76.9, 0.7, 7.3]),
            food("Buckwheat", [9.8, 13.3, 3.4, 0.7, 71.5, 1.5, 10.0]),
        ],
    },
];
