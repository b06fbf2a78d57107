//! A country that is taken out of `ALLOWED_COUNTRIES` while users with numbers there have 2FA on.

use two_factor_tests::service::{HOME, TestService, WORK};

#[tokio::test]
async fn a_country_that_was_taken_out_gets_no_code_of_any_purpose_and_backup_codes_go_on() {
    let cooldown = ("SMS_COOLDOWN_SECONDS", "0");
    let mut service = TestService::production(&[("ALLOWED_COUNTRIES", "US,GB"), cooldown]).await;
    let codes = service.user("alice").enroll(HOME).await;
    service.restart(&[("ALLOWED_COUNTRIES", "GB")]).await;
    let sent = service.inbox.received().len();

    let alice = service.user("alice");
    let refusals = [
        alice.send_sms().await,
        alice.send_sms_for("sign_in").await,
        alice.send_sms_for("confirm").await,
        alice.send_sms_for("change").await,
        service.user("bob").setup(HOME).await,
    ];
    for refused in refusals {
        refused.expect_problem(400, "phone_number_not_allowed");
        assert_eq!(refused.body["reason"], "country", "{}", refused.body);
    }
    assert_eq!(service.inbox.received().len(), sent, "nothing was sent");
    assert_eq!(alice.status().await.expect(200).body["sends_remaining"], 4, "and nothing counted");

    assert_eq!(alice.verify(&codes[0]).await.expect(200).body["method"], "backup_code");
    alice.replace(WORK, &codes[1]).await.expect(200);
    alice.verify_for("replace", &service.last_code()).await.expect(200);
    assert_eq!(alice.status().await.body["phone_number_masked"], "+44****3456", "a number elsewhere takes its place");
}
