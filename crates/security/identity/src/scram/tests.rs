//! The RFC's own exchange, and everything that must fail.

use super::*;
use expect_test::expect;

const PASSWORD: &[u8] = b"pencil";

fn credential(mechanism: Mechanism) -> Credential {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    Credential::from_password(mechanism, PASSWORD, salt, NonZeroU32::new(4096).unwrap())
}

/// The other side, as a client computes it.
fn proof(mechanism: Mechanism, password: &[u8], exchange: &Exchange, end: &str) -> String {
    let Credential { salt, iterations, .. } = &exchange.credential;
    let algorithm = match mechanism {
        Mechanism::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        Mechanism::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
    };
    let mut salted = vec![0; mechanism.hash_bytes()];
    pbkdf2::derive(algorithm, NonZeroU32::new(*iterations).unwrap(), salt, password, &mut salted);
    let client_key = mechanism.hmac(&salted, b"Client Key");
    let signed = format!("{},{},{end}", exchange.first.bare, exchange.challenge);
    let signature = mechanism.hmac(&mechanism.hash(&client_key), signed.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    format!("{end},p={}", BASE64.encode(proof))
}

fn begin(mechanism: Mechanism, message: &str) -> Exchange {
    let first = First::read(message.as_bytes()).unwrap();
    Exchange::begin(mechanism, first, credential(mechanism), [7; 24])
}

/// RFC 7677, section 3. The server's nonce there is not base64 of ours, so it is put in.
#[test]
fn the_exchange_of_the_rfc_is_accepted() {
    let mut exchange = begin(Mechanism::Sha256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    exchange.nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
    exchange.challenge = format!("r={},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", exchange.nonce);
    let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let (user, answer) = exchange.finish(last.as_bytes()).unwrap();
    assert_eq!(user, "user");
    expect!["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="].assert_eq(&answer);
}

#[test]
fn both_mechanisms_accept_the_password_and_no_other() {
    for mechanism in Mechanism::ALL {
        let start = || begin(mechanism, "n,,n=a=2Cb,r=abc");
        let exchange = start();
        let end = format!("c=biws,r={}", exchange.nonce);
        let good = proof(mechanism, PASSWORD, &exchange, &end);
        assert_eq!(exchange.finish(good.as_bytes()).unwrap().0, "a,b");
        let wrong = proof(mechanism, b"pencils", &start(), &end);
        assert_eq!(start().finish(wrong.as_bytes()).unwrap_err(), NotProven);
        let other_nonce = good.replacen("r=abc", "r=abd", 1);
        assert_eq!(start().finish(other_nonce.as_bytes()).unwrap_err(), NotProven);
        let other_binding = proof(mechanism, PASSWORD, &start(), &end.replace("biws", "eSws"));
        assert_eq!(start().finish(other_binding.as_bytes()).unwrap_err(), NotProven);
        for junk in ["", "c=biws", &end, &format!("{end},p="), &format!("{end},p=!"), &good[..9]] {
            assert_eq!(start().finish(junk.as_bytes()).unwrap_err(), NotProven, "{junk}");
        }
    }
}

#[test]
fn a_user_who_is_not_there_is_challenged_like_any_other_and_fails() {
    let secret = [9; 32];
    let of = |user: &str| Credential::of_nobody(Mechanism::Sha256, user, &secret);
    assert_eq!(of("x"), of("x"));
    assert_ne!(of("x").salt, of("y").salt);
    let first = First::read(b"n,,n=x,r=abc").unwrap();
    let exchange = Exchange::begin(Mechanism::Sha256, first, of("x"), [1; 24]);
    let end = format!("c=biws,r={}", exchange.nonce);
    let proof = proof(Mechanism::Sha256, b"", &exchange, &end);
    assert_eq!(exchange.finish(proof.as_bytes()).unwrap_err(), NotProven);
}

#[test]
fn first_messages_that_ask_for_more_than_there_is_are_refused() {
    for wrong in [
        "",
        "n,,",
        "n,,n=user",
        "n,,r=abc",
        "n,,n=,r=abc",
        "n,,n=user,r=",
        "n,,n=us=er,r=abc",
        "p=tls-unique,,n=user,r=abc",
        "n,a=other,n=user,r=abc",
        "n,,n=user,r=abc,tokenauth=true",
        "n,,m=ext,n=user,r=abc",
        &format!("n,,n=user,r={}", "x".repeat(513)),
    ] {
        assert_eq!(First::read(wrong.as_bytes()).unwrap_err(), NotProven, "{wrong}");
    }
    assert_eq!(First::read(b"y,a=user,n=user,r=abc").unwrap().user, "user");
}

#[test]
fn a_credential_is_not_printed() {
    expect!["<credential, 4096 iterations>"]
        .assert_eq(&format!("{:?}", credential(Mechanism::Sha512)));
}
