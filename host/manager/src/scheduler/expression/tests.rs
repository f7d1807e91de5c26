use super::*;
use proptest::prelude::*;

struct Known;

impl Names for Known {
    fn value(&self, map: &str, key: &str) -> Option<Value> {
        match (map, key) {
            ("share", "size") => Some(Value::Number(10.0)),
            ("capabilities", "x") => Some(Value::Number(200.5)),
            ("capabilities", "name") => Some(Value::of_text("pool2")),
            ("capabilities", "text_number") => Some(Value::of_text("12")),
            ("capabilities", "dedupe") => Some(Value::Boolean(true)),
            ("stats", "iops") => Some(Value::Number(1000.0)),
            ("request", "iops") => Some(Value::Number(500.0)),
            ("stats", "free_capacity_gb") => Some(Value::Number(100.0)),
            _ => None,
        }
    }
}

fn value(text: &str) -> Result<Value, ExpressionError> {
    Expression::parse(text)?.evaluate(&Known)
}

fn number(text: &str) -> f64 {
    match value(text) {
        Ok(Value::Number(number)) => number,
        other => panic!("{text}: {other:?}"),
    }
}

fn truth(text: &str) -> bool {
    value(text).unwrap_or_else(|error| panic!("{text}: {error}")).is_true()
}

#[test]
fn operators_bind_as_in_manila() {
    for (text, result) in [
        ("-2^2", -4.0),
        ("2^3^2", 512.0),
        ("7/2", 3.5),
        ("2^-1", 0.5),
        ("1e3", 1000.0),
        ("5.", 5.0),
        ("2 + 3 * 4 - 1", 13.0),
        ("(2 + 3) * 4", 20.0),
        ("- - 3", 3.0),
        ("max(1, 2, share.size)", 10.0),
        ("min(4, 2)", 2.0),
        ("max(1)", 1.0),
        ("abs(2 - 5)", 3.0),
        ("capabilities.x * 2", 401.0),
        ("capabilities.text_number + 1", 13.0),
        ("1 ? 2 : 3", 2.0),
        ("0 ? 1: 0 ? 2: 3", 3.0),
        ("capabilities.dedupe + 1", 2.0),
    ] {
        assert_eq!(number(text), result, "{text}");
    }
    for (text, result) in [
        ("1<2<3", true),
        ("3>2>5", false),
        ("not 1 == 2", false),
        ("!1 == 2", false),
        ("1 != 2", true),
        ("1 <> 1", false),
        ("share.size AND 1", true),
        ("share.size < 20 and stats.free_capacity_gb >= 100", true),
        ("capabilities.name == 'pool2'", true),
        ("capabilities.name == pool2", true),
        ("'10' == 10", false),
        ("foo", true),
        ("''", false),
    ] {
        assert_eq!(truth(text), result, "{text}");
    }
}

/// Contract E-01, E-02, E-03, E-04, E-05, E-06, E-09, E-10.
#[test]
fn numbers_come_to_what_they_come_to_in_manila() {
    for (text, result) in [
        ("1+1", 2.0),
        ("2+3+4", 9.0),
        ("23+11", 34.0),
        ("22/11", 2.0),
        ("872 - 453 + 44 / 22 * 4 + 66", 493.0),
        ("1.5 + 1", 2.5),
        ("10/4+0.75    + 2", 5.25),
        ("-2+1", -1.0),
        ("5+-2", 3.0),
        ("2^3", 8.0),
        ("-2 ^ 3", -8.0),
        ("4 ^ 1.5", 8.0),
        ("abs(-5)", 5.0),
        ("min(1, 100)", 1.0),
        ("max(1, 2, 100)", 100.0),
        ("((1.0 / 0.5) * (2)) *(-2)", -8.0),
        ("(1 < 2) ? 5 : 10", 5.0),
        ("(1 > 2) ? 5 : 10", 10.0),
        ("stats.iops + request.iops", 1500.0),
    ] {
        assert_eq!(number(text), result, "{text}");
    }
}

/// Contract E-07, E-08, E-13.
#[test]
fn truths_come_to_what_they_come_to_in_manila() {
    for (text, result) in [
        ("(1 == 1) == !(1 == 2)", true),
        ("(1 == 1) == (1 == 2)", false),
        ("1 AND 1", true),
        ("1 and 0", false),
        ("0 && 1", false),
        ("0 OR 1", true),
        ("1 or 0", true),
        ("0 || 0", false),
        ("NOT 1", false),
        ("not 0", true),
        ("!0", true),
        ("(1 == 1) OR NOT (2 == 2) AND (5 == 5)", true),
        ("(1 == 2) OR NOT (2 == 2) AND (5 == 5)", false),
        ("'foo' == 'bar'", false),
        ("\"foo\" != 'bar'", true),
        ("'foo' == \"foo\"", true),
        ("capabilities.name != 'pool2'", false),
    ] {
        assert_eq!(truth(text), result, "{text}");
    }
}

/// Contract E-11, E-12.
#[test]
fn what_is_an_error_in_manila_is_one_here() {
    for text in ["nobody.iops", "stats.nothing", "capabilities.none", "1/*1", "7 / 0"] {
        assert!(value(text).is_err(), "{text}");
    }
}

/// Contract E-14: chains, nested choices, fractions and words behind names do what they say here; a list is none.
#[test]
fn what_surprises_in_manila_does_not_here() {
    for (text, result) in [
        ("1 and 1 and 0", 0.0),
        ("0 or 0 or 7", 7.0),
        ("1 ? 0 ? 2 : 3 : 4", 3.0),
        ("0 ? 1 : 0 ? 2 : 3", 3.0),
        ("capabilities.x + 0", 200.5),
        ("stats.iops < 5 OR share.size", 10.0),
    ] {
        assert_eq!(number(text), result, "{text}");
    }
    assert!(value("1, 2").is_err());
}

#[test]
fn every_operand_of_a_chain_counts_and_none_after_the_answer() {
    assert_eq!(number("1 and 1 and 0"), 0.0);
    assert_eq!(number("0 or 0 or 1"), 1.0);
    assert_eq!(number("0 and 1/0"), 0.0);
    assert_eq!(number("3 || 1/0"), 3.0);
    assert_eq!(number("2 && 3"), 3.0);
}

#[test]
fn what_makes_no_sense_is_an_error_and_never_passes() {
    for text in [
        "1/0",
        "9^9^9",
        "'infinite' > 5",
        "1 < 'a'",
        "'a' + 1",
        "share.nothing",
        "nobody.size",
        "sqrt(4)",
        "abs(1, 2)",
        "max()",
        "1e999",
    ] {
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(expression.passes(&Known).is_err(), "{text}");
        assert_eq!(expression.score(&Known), 0.0, "{text}");
    }
    for text in
        ["", "1 +", "(1", "1)", "1 2", "a = b", "5 % 2", "and 1", "max(1", "'open", "? 1 : 2", "1 , 2"]
    {
        assert!(matches!(Expression::parse(text), Err(ExpressionError::Syntax { .. })), "{text}");
    }
}

#[test]
fn a_score_is_a_number_up_to_a_hundred_or_a_truth() {
    let score = |text: &str| Expression::parse(text).expect("it is one").score(&Known);
    assert_eq!((score("100 / 8"), score("1 == 1"), score("1 == 2")), (12.5, 100.0, 0.0));
    assert_eq!((score("101"), score("-1"), score("'90'"), score("1/0")), (0.0, 0.0, 0.0, 0.0));
}

#[test]
fn what_is_too_large_is_refused_before_it_costs_anything() {
    let deep = format!("{}1{}", "(".repeat(10_000).get(..2000).expect("text"), ")".repeat(2000));
    assert_eq!(Expression::parse(&deep), Err(ExpressionError::TooLarge("64 levels")));
    assert_eq!(Expression::parse(&"-".repeat(4000)), Err(ExpressionError::TooLarge("64 levels")));
    let wide = vec!["1"; 1500].join("+");
    assert_eq!(Expression::parse(&wide), Err(ExpressionError::TooLarge("1,000 parts")));
    assert_eq!(Expression::parse(&" ".repeat(5000)), Err(ExpressionError::TooLarge("4,096 bytes")));
}

proptest! {
    #[test]
    fn no_text_panics_or_hangs(text in "[-+*/^()<>=!?:,.&|'\" a-z0-9_]{0,80}") {
        if let Ok(expression) = Expression::parse(&text) {
            let _any_answer_will_do = expression.evaluate(&Known).is_ok();
        }
    }

    #[test]
    fn arithmetic_agrees_with_ours(a in -1000_i32..1000, b in -1000_i32..1000, c in 1_i32..1000) {
        let (x, y, z) = (f64::from(a), f64::from(b), f64::from(c));
        let text = format!("({a}) + ({b}) * {c} - ({a}) / {c}");
        prop_assert_eq!(number(&text), x + y * z - x / z);
        let text = format!("{c} > ({a}) or ({b}) <= {c} and not ({a}) == ({b})");
        // `not` takes the first side alone: (not a) == b, where not a is 0 or 1.
        let negated = if a == 0 { 1.0 } else { 0.0 };
        prop_assert_eq!(truth(&text), z > x || (y <= z && negated == y));
    }
}
