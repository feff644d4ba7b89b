//! Precedence, sharing and values of quotas.

use super::*;
use expect_test::expect;

fn of(name: &str) -> Name {
    Name::Of(name.into())
}
fn rate(value: f64) -> Values {
    Values::from([(Key::ProducerByteRate, Bound::new(Key::ProducerByteRate, value).unwrap())])
}
fn both(user: Name, client_id: Name) -> Entity {
    Entity::Both { user, client_id }
}

fn found(quotas: &Quotas, user: &str, client_id: &str) -> String {
    match quotas.limit(Key::ProducerByteRate, user, client_id) {
        Some(it) => format!("{} {:?}\n", it.bound.value(), it.sharers),
        None => "none\n".to_owned(),
    }
}

#[test]
fn the_most_specific_quota_counts_and_says_who_shares_it() {
    let mut quotas = Quotas::default();
    let order = [
        both(of("u"), of("c")),
        both(of("u"), Name::Default),
        Entity::User(of("u")),
        both(Name::Default, of("c")),
        both(Name::Default, Name::Default),
        Entity::User(Name::Default),
        Entity::ClientId(of("c")),
        Entity::ClientId(Name::Default),
    ];
    for (value, entity) in (1..).zip(&order) {
        quotas.put(entity, rate(f64::from(value)));
    }
    let mut text = String::new();
    for entity in &order {
        text += &found(&quotas, "u", "c");
        quotas.put(entity, Values::new());
    }
    text += &found(&quotas, "u", "c");
    expect![[r#"
        1 Both("u", "c")
        2 Both("u", "c")
        3 User("u")
        4 Both("u", "c")
        5 Both("u", "c")
        6 User("u")
        7 ClientId("c")
        8 ClientId("c")
        none
    "#]]
    .assert_eq(&text);
    assert!(quotas.is_empty());
    assert!(quotas.by_key.values().all(|it| it.count == 0 && it.of_user.is_empty()));
}

#[test]
fn a_client_without_an_id_has_the_quotas_of_its_user_alone() {
    let mut quotas = Quotas::default();
    quotas.put(&both(Name::Default, Name::Default), rate(1.0));
    quotas.put(&Entity::ClientId(Name::Default), rate(2.0));
    assert_eq!(found(&quotas, "u", ""), "none\n");
    quotas.put(&Entity::User(Name::Default), rate(3.0));
    assert_eq!(found(&quotas, "u", ""), "3 User(\"u\")\n");
}

#[test]
fn an_address_has_its_own_quota_or_the_default() {
    let (mut quotas, key) = (Quotas::default(), Key::ConnectionCreationRate);
    let of = |value| Values::from([(key, Bound::new(key, value).unwrap())]);
    let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    assert_eq!(quotas.address_limit(key, one), None);
    quotas.put(&Entity::Address(None), of(5.0));
    quotas.put(&Entity::Address(Some(two)), of(7.0));
    let bound = |it| quotas.address_limit(key, it).unwrap().bound.value();
    assert_eq!((bound(one), bound(two)), (5.0, 7.0));
}

#[test]
fn values_are_judged_as_kafka_judges_them() {
    use Key::{ConnectionCreationRate as Connections, ProducerByteRate as Bytes};
    let cases = [
        (Bytes, 1.0),
        (Bytes, 1.5),
        (Bytes, 1.000_000_1),
        (Bytes, 0.0),
        (Bytes, -3.0),
        (Bytes, f64::NAN),
        (Bytes, 1e19),
        (Connections, 2_147_483_648.0),
        (Key::RequestPercentage, 0.5),
        (Key::RequestPercentage, f64::INFINITY),
    ];
    let judge = |(key, value): (Key, f64)| match Bound::new(key, value) {
        Ok(it) => format!("{} fine\n", it.value()),
        Err(wrong) => format!("{wrong}\n"),
    };
    expect![[r#"
        1 fine
        producer_byte_rate cannot be a fractional value.
        1.0000001 fine
        Quota producer_byte_rate must be greater than 0
        Quota producer_byte_rate must be greater than 0
        Quota producer_byte_rate must be greater than 0
        Proposed value for producer_byte_rate is too large for a LONG.
        Proposed value for connection_creation_rate is too large for an INT.
        0.5 fine
        Proposed value for request_percentage is too large for a DOUBLE.
    "#]]
    .assert_eq(&cases.map(judge).concat());
}

#[test]
fn addresses_have_quotas_of_connections_and_clients_have_the_others() {
    let fits = |it: &Entity| Key::ALL.map(|key| it.check(key).is_ok());
    assert_eq!(fits(&Entity::Address(None)), [true, false, false, false, false]);
    assert_eq!(fits(&Entity::User(Name::Default)), [false, true, true, true, true]);
}
