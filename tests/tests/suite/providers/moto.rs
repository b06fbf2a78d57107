//! Amazon SNS as an emulator has it: the text message is read back out of it.
//!
//! Runs where `MOTO_URL` names a running moto server.

use serde_json::Value;

use super::{PATIENCE, gateway, message, sns, transports};

#[tokio::test]
async fn the_text_that_is_published_is_the_text_that_sns_has() {
    let Some(moto) = std::env::var("MOTO_URL").ok().filter(|url| !url.is_empty()) else {
        eprintln!("skipped: needs a running moto server at MOTO_URL");
        return;
    };
    let mut message = message();
    // Nobody else's message has this text, whatever else the server is used for.
    message.body = format!("012345 is your ACME & Söhne code, {}.", std::process::id());
    let id = gateway(sns, &moto).send(&message, PATIENCE).await.unwrap();

    let data = transports(&moto).http.get(format!("{moto}/moto-api/data.json")).send().await.unwrap().bytes().await.unwrap();
    let data: Value = serde_json::from_slice(&data).unwrap();
    let sent: Vec<_> = data["sns"]["SMS"].as_array().unwrap().iter().filter(|sms| sms["message"] == *message.body).collect();
    let [sms] = sent[..] else { panic!("sent {} times", sent.len()) };
    assert_eq!((sms["phone_number"].as_str(), sms["message_id"].as_str()), (Some("+14155552345"), Some(&*id)));
}
