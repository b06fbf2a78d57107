//! What a user lives through, from the first number to the last code, over HTTP.

use serde_json::{Value, json};
use two_factor_tests::service::{HOME, TestService, WORK, wrong};

use reqwest::Method;

#[tokio::test]
async fn a_number_is_enrolled_and_signs_in_and_is_turned_off() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let nothing = json!({
        "enabled": false, "method": null, "phone_number_masked": null, "enabled_at": null, "backup_codes_remaining": 0,
        "factor_disabled": false, "locked_for": 0, "pending": false, "live_code": null, "sends_remaining": 5, "resend_in": 0
    });
    assert_eq!(alice.status().await.expect(200).body, nothing);

    let sent = alice.setup(HOME).await.expect(200);
    let code = sent.development_code();
    let expected = json!({
        "method": "sms", "purpose": "enroll", "phone_number_masked": "+1****0123", "expires_in": 300, "resend_in": 30,
        "sends_remaining": 4, "warning": format!("SMS service not configured. For development, use code: {code}"),
    });
    assert_eq!(sent.body, expected);
    for (name, value) in
        [("content-type", "application/json"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")]
    {
        assert_eq!(sent.header(name), value);
    }
    assert!(!sent.header("x-request-id").is_empty());
    let status = alice.status().await.expect(200).body;
    assert_eq!((&status["enabled"], &status["pending"]), (&json!(false), &json!(true)));
    assert_eq!(status["pending_phone_number_masked"], "+1****0123");
    assert_eq!(status["live_code"], json!({"purpose": "enroll", "expires_in": 300, "attempts_remaining": 5}));
    assert_eq!((&status["sends_remaining"], &status["resend_in"]), (&json!(4), &json!(30)));

    let verified = alice.verify(&format!(" {}-{} ", &code[..3], &code[3..])).await.expect(200);
    assert_eq!(
        (&verified.body["verified"], &verified.body["enabled"], &verified.body["method"], &verified.body["phone_number_masked"]),
        (&json!(true), &json!(true), &json!("sms"), &json!("+1****0123"))
    );
    assert_eq!(verified.body["purpose"], "enroll");
    let backup_codes = verified.backup_codes();
    assert_eq!(backup_codes.len(), 10);
    let expected = json!({
        "enabled": true, "method": "sms", "phone_number_masked": "+1****0123", "enabled_at": "2027-01-01T00:00:00Z",
        "backup_codes_remaining": 10, "factor_disabled": false, "locked_for": 0, "pending": false, "live_code": null,
        "sends_remaining": 4, "resend_in": 30
    });
    assert_eq!(alice.status().await.expect(200).body, expected);

    service.clock.pass(30);
    let code = alice.send_sms().await.expect(200).development_code();
    let expected = json!({"verified": true, "enabled": true, "method": "sms", "purpose": "sign_in", "failed_attempts": 0});
    assert_eq!(alice.verify(&code).await.expect(200).body, expected);
    let expected = json!({
        "verified": true, "enabled": true, "method": "backup_code", "purpose": "sign_in", "failed_attempts": 0,
        "backup_codes_remaining": 9
    });
    assert_eq!(alice.verify(&backup_codes[0]).await.expect(200).body, expected);

    assert_eq!(alice.disable(&backup_codes[1]).await.expect(200).body, json!({"enabled": false}));
    let off = alice.status().await.expect(200).body;
    assert_eq!((&off["enabled"], &off["backup_codes_remaining"], &off["sends_remaining"]), (&json!(false), &json!(0), &json!(3)));
    alice.disable(&backup_codes[2]).await.expect_problem(409, "not_enabled");
}

#[tokio::test]
async fn a_number_is_replaced_with_a_proof_and_the_old_one_is_told_s16_s18() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0"), ("WEBOTP_DOMAIN", "example.com")]).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    alice.setup(WORK).await.expect_problem(403, "verification_required");
    alice.setup(HOME).await.expect_problem(403, "verification_required");
    assert_eq!(service.inbox.received().len(), 1, "nothing was sent");

    alice.send_sms_for("change").await.expect(200);
    alice.replace(HOME, &service.last_code()).await.expect_problem(409, "already_enabled");
    let sent = alice.replace(WORK, &service.last_code()).await.expect(200);
    assert_eq!(sent.body["phone_number_masked"], "+44****3456");
    assert_eq!(sent.body.get("warning"), None, "S22: a code leaves by SMS only");
    let code = service.last_code();
    let message = service.inbox.received().last().cloned().unwrap();
    assert_eq!(message.to(), WORK);
    assert_eq!(
        message.body(),
        format!(
            "{code} is your CODITECT code to change your phone number. It expires in 5 minutes. Never share it.\n@example.com #{code}"
        )
    );

    alice.verify(&code).await.expect_problem(409, "wrong_purpose");
    let verified = alice.verify_for("replace", &code).await.expect(200);
    assert_eq!(verified.body["purpose"], "replace");
    assert_eq!((verified.body["phone_number_masked"].clone(), verified.backup_codes().len()), (json!("+44****3456"), 10));
    let notification = service.inbox.received().last().cloned().unwrap();
    assert_eq!(notification.to(), HOME);
    assert_eq!(
        notification.body(),
        "CODITECT: your two-factor phone number was changed. If this was not you, contact support at once."
    );

    alice.send_sms_for("change").await.expect(200);
    assert_eq!(service.inbox.received().last().unwrap().to(), WORK);
    alice.disable(&service.last_code()).await.expect(200);
    let notification = service.inbox.received().last().cloned().unwrap();
    assert_eq!((notification.to(), notification.body().contains("turned off")), (WORK, true));
}

#[tokio::test]
async fn signing_in_does_not_depend_on_an_unfinished_replacement() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    alice.replace(WORK, &backup_codes[0]).await.expect(200);
    assert_eq!(alice.status().await.body["pending_phone_number_masked"], "+44****3456");
    alice.send_sms().await.expect(200);
    assert_eq!(service.inbox.received().last().unwrap().to(), HOME);
    alice.verify(&service.last_code()).await.expect(200);
    alice.send_sms_for("replace").await.expect(200);
    assert_eq!(service.inbox.received().last().unwrap().to(), WORK);
    alice.verify_for("sign_in", &service.last_code()).await.expect_problem(409, "wrong_purpose");
    assert_eq!(alice.status().await.body["phone_number_masked"], "+1****0123", "a sign-in page turns no number on");
    alice.verify_for("replace", &service.last_code()).await.expect(200);
    assert_eq!(alice.status().await.body["phone_number_masked"], "+44****3456");
}

#[tokio::test]
async fn limits_say_how_long_they_last() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    alice.setup(HOME).await.expect(200);
    let refused = alice.send_sms().await;
    refused.expect_problem(429, "rate_limited");
    assert_eq!((refused.header("retry-after"), &refused.body["retry_after"]), ("30", &json!(30)));
    assert_eq!(refused.body["reason"], "cooldown");
    assert_eq!(refused.body["detail"], "You can ask for another text message in 30 seconds.");
    for _ in 0..4 {
        service.clock.pass(30);
        alice.send_sms().await.expect(200);
    }
    service.clock.pass(30);
    let refused = alice.send_sms().await;
    refused.expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "3450");
    assert_eq!(refused.header("ratelimit-policy"), r#""user";q=5;w=3600"#);
    assert_eq!(refused.header("ratelimit"), r#""user";r=0;t=3450"#);

    let bob = service.user("bob");
    let refused = bob.setup(HOME).await;
    refused.expect_problem(429, "rate_limited");
    assert_eq!((&refused.body["reason"], &refused.body["retry_after"]), (&json!("number"), &json!(3600)), "and no more is told");
    assert_eq!(bob.setup(WORK).await.expect(200).body["sends_remaining"], 4, "a refused send costs nothing");
}

#[tokio::test]
async fn one_address_sends_only_so_much_whoever_it_says_it_is_s13() {
    let service = TestService::development(&[("SMS_MAX_PER_IP", "3"), ("PENDING_TTL_SECONDS", "7200")]).await;
    let phones = [HOME, WORK, "+12015550124", "+12015550125"];
    for (number, phone) in phones.iter().enumerate() {
        let user = service.user(&format!("user-{number}"));
        let body = json!({"method": "sms", "phone_number": phone});
        let reply = user.call_from(&format!("203.0.113.{number}"), Method::POST, "setup", body).await;
        if number < 3 {
            assert_eq!(reply.status, 200, "{}", reply.body);
        } else {
            reply.expect_problem(429, "rate_limited");
            assert_eq!(reply.header("ratelimit-policy"), r#""address";q=3;w=3600"#);
        }
    }
    let first = service.user("user-0");
    service.clock.pass(30);
    let refused = first.send_sms().await;
    refused.expect_problem(429, "rate_limited");
    assert_eq!((&refused.body["reason"], &refused.body["retry_after"]), (&json!("address"), &json!(3570)));
    service.clock.pass(3570);
    let code = first.send_sms().await.expect(200).development_code();
    first.verify(&code).await.expect(200);
    for _ in 0..4 {
        service.clock.pass(30);
        first.send_sms().await.expect(200);
    }
}

#[tokio::test]
async fn codes_expire_by_our_clock_and_enrollments_lapse_s2() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    service.clock.pass(300);
    alice.verify(&code).await.expect_problem(400, "code_expired");
    service.clock.pass(3300);
    alice.verify(&code).await.expect_problem(409, "no_pending_verification");
    alice.send_sms().await.expect_problem(409, "no_pending_verification");
    assert_eq!(alice.status().await.body["pending"], false);
}

#[tokio::test]
async fn locked_and_right_looks_like_locked_and_wrong_s8_s10() {
    let service =
        TestService::development(&[("LOCK_AFTER_FAILURES", "3"), ("CODE_TTL_SECONDS", "600"), ("LOCK_SECONDS", "60")]).await;
    let alice = service.user("alice");
    let code = alice.setup(HOME).await.expect(200).development_code();
    for left in [2, 1, 0] {
        let refused = alice.verify(wrong(&code)).await;
        refused.expect_problem(400, "invalid_code");
        assert_eq!(refused.body["attempts_remaining"], left);
    }
    let (right, wrong) = (alice.verify(&code).await, alice.verify(wrong(&code)).await);
    right.expect_problem(429, "locked");
    assert_eq!((right.header("retry-after"), &right.body["retry_after"]), ("60", &json!(60)));
    let without_id = |mut body: Value| {
        body.as_object_mut().unwrap().remove("request_id");
        body
    };
    assert_eq!(without_id(right.body), without_id(wrong.body));
    service.clock.pass(60);
    alice.verify(&code).await.expect(200);
}

#[tokio::test]
async fn one_users_code_is_nothing_to_another_s4() {
    let service = TestService::development(&[]).await;
    let (alice, bob) = (service.user("alice"), service.user("bob"));
    let hers = alice.setup(HOME).await.expect(200).development_code();
    let his = bob.setup(WORK).await.expect(200).development_code();
    if hers != his {
        bob.verify(&hers).await.expect_problem(400, "invalid_code");
        alice.verify(&his).await.expect_problem(400, "invalid_code");
    }
    service.user("carol").verify(&hers).await.expect_problem(409, "no_pending_verification");
    alice.verify(&hers).await.expect(200);
    bob.verify(&his).await.expect(200);
}

#[tokio::test]
async fn backup_codes_are_made_anew_only_with_a_proof_s16() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let old = alice.enroll(HOME).await;
    let body = json!({"code": old[0], "regenerate_backup_codes": true});
    let new = alice.call(Method::POST, "verify", body).await.expect(200);
    assert_eq!((&new.body["backup_codes_remaining"], &new.body["purpose"]), (&json!(10), &json!("change")));
    let refused = alice.verify(&old[1]).await;
    refused.expect_problem(400, "invalid_code");
    assert_eq!(refused.body.get("attempts_remaining"), None, "guesses at backup codes are not limited");
    let accepted = alice.verify(&new.backup_codes()[0]).await.expect(200).body;
    assert_eq!((&accepted["failed_attempts"], &accepted["last_failed_at"]), (&json!(1), &json!("2027-01-01T00:00:00Z")));

    service.clock.pass(30);
    let code = alice.send_sms().await.expect(200).development_code();
    let refused = alice.call(Method::POST, "verify", json!({"code": code, "regenerate_backup_codes": true})).await;
    refused.expect_problem(409, "wrong_purpose");
    assert_eq!(refused.body["purpose"], "sign_in");
    service.clock.pass(30);
    let code = alice.send_sms_for("change").await.expect(200).development_code();
    let newest = alice.call(Method::POST, "verify", json!({"code": code, "regenerate_backup_codes": true})).await.expect(200);
    assert_eq!(newest.backup_codes().len(), 10);
}

#[tokio::test]
async fn without_a_provider_production_sends_nothing_and_shows_nothing_s22() {
    let service =
        TestService::production(&[("TWILIO_ACCOUNT_SID", ""), ("TWILIO_AUTH_TOKEN", ""), ("TWILIO_PHONE_NUMBER", "")]).await;
    let alice = service.user("alice");
    let refused = alice.setup(HOME).await;
    refused.expect_problem(503, "sms_not_configured");
    assert!(!refused.header("retry-after").is_empty());
    assert!(!refused.body.to_string().contains("warning"));
    assert_eq!(alice.status().await.body["pending"], false, "nothing was reserved");
}

#[tokio::test]
async fn a_user_id_in_body_query_or_header_changes_nothing_s20() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let body = json!({"method": "sms", "phone_number": HOME, "user_id": "bob", "sub": "bob"});
    let url = format!("{}?user_id=bob&sub=bob", service.url("setup"));
    let request = service.request(Method::POST, &url).bearer_auth(alice.token()).header("x-user-id", "bob").json(&body);
    service.send(request).await.expect(200);
    assert_eq!(alice.status().await.body["pending"], true);
    assert_eq!(service.user("bob").status().await.body["pending"], false);
}

#[tokio::test]
async fn a_code_that_a_newer_one_replaced_says_so_and_costs_no_guess() {
    let service = TestService::development(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    let first = alice.send_sms().await.expect(200).development_code();
    let second = alice.send_sms_for("confirm").await.expect(200).development_code();
    if first != second {
        let refused = alice.verify_for("confirm", &first).await;
        refused.expect_problem(400, "code_superseded");
        assert_eq!(refused.body["purpose"], "confirm");
    }
    assert_eq!(alice.status().await.body["live_code"]["attempts_remaining"], 5);
    alice.verify_for("confirm", &second).await.expect(200);
}

#[tokio::test]
async fn a_code_for_one_purpose_serves_no_other_s4() {
    let service = TestService::development(&[("SMS_COOLDOWN_SECONDS", "0"), ("SMS_MAX_PER_WINDOW", "20")]).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    for purpose in ["sign_in", "confirm", "change"] {
        let code = alice.send_sms_for(purpose).await.expect(200).development_code();
        for other in ["sign_in", "confirm", "change", "enroll", "replace"].into_iter().filter(|other| *other != purpose) {
            let refused = alice.verify_for(other, &code).await;
            refused.expect_problem(409, "wrong_purpose");
            assert_eq!(refused.body["purpose"], purpose);
        }
        if purpose != "change" {
            alice.disable(&code).await.expect_problem(409, "wrong_purpose");
            alice.replace(WORK, &code).await.expect_problem(409, "wrong_purpose");
        }
        assert_eq!(alice.verify_for(purpose, &code).await.expect(200).body["purpose"], purpose);
    }
    assert_eq!(alice.status().await.body["enabled"], true);
    alice.send_sms_for("enroll").await.expect_problem(409, "no_pending_verification");
    alice.send_sms_for("replace").await.expect_problem(409, "no_pending_verification");
}

#[tokio::test]
async fn a_locked_owner_gets_in_with_a_backup_code_as_a_person_writes_it_s8_s9_s18() {
    let settings = [("SMS_COOLDOWN_SECONDS", "0"), ("LOCK_AFTER_FAILURES", "3"), ("CODE_MAX_ATTEMPTS", "3")];
    let service = TestService::production(&settings).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    alice.send_sms().await.expect(200);
    let code = service.last_code();
    for _ in 0..3 {
        alice.verify(wrong(&code)).await.expect_problem(400, "invalid_code");
    }
    let notification = service.inbox.received().last().cloned().unwrap();
    assert_eq!(notification.to(), HOME);
    assert!(notification.body().contains("many wrong codes were entered"), "{}", notification.body());

    let locked = alice.verify(&code).await;
    locked.expect_problem(429, "locked");
    assert_eq!(
        locked.body["detail"],
        "Too many wrong codes were entered. Codes sent by text message work again in 15 minutes. A backup code works now."
    );
    let sent = service.inbox.received().len();
    alice.send_sms().await.expect_problem(429, "locked");
    assert_eq!(service.inbox.received().len(), sent, "its code would be dead");
    assert_eq!(alice.status().await.body["locked_for"], 900);

    let written = backup_codes[0].to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
    let accepted = alice.verify(&written).await.expect(200).body;
    assert_eq!((&accepted["method"], &accepted["failed_attempts"]), (&json!("backup_code"), &json!(3)));
    assert!(service.inbox.received().last().unwrap().body().contains("a backup code was used"));
    assert_eq!(alice.status().await.body["locked_for"], 0);
    alice.send_sms().await.expect(200);
    alice.verify(&service.last_code()).await.expect(200);
}

#[tokio::test]
async fn wrong_backup_codes_lock_nobody_out_and_tell_the_owner_once_s9() {
    let service = TestService::production(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    let before = service.inbox.received().len();
    for _ in 0..120 {
        alice.verify("0000-0000-0000-0000").await.expect_problem(400, "invalid_code");
    }
    assert_eq!(service.inbox.received().len(), before + 1, "the tenth tells the owner, and no other does");
    let failures = service.audit_trail("alice").await.into_iter().filter(|entry| entry.outcome == "invalid_code").count();
    assert_eq!(failures, 10, "after that a wrong one writes nothing");
    assert_eq!(alice.verify(&backup_codes[0]).await.expect(200).body["failed_attempts"], 10);
    assert_eq!(alice.status().await.body["factor_disabled"], false);
}

#[tokio::test]
async fn nobody_but_its_owner_uses_up_the_sends_of_an_active_number_s11() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    service.clock.pass(3600);
    for stranger in 0..5 {
        let stranger = service.user(&format!("stranger-{stranger}"));
        stranger.setup(HOME).await.expect(200);
    }
    service.user("stranger-5").setup(HOME).await.expect_problem(429, "rate_limited");
    for _ in 0..5 {
        let code = alice.send_sms().await.expect(200).development_code();
        alice.verify(&code).await.expect(200);
        service.clock.pass(30);
    }
}

#[tokio::test]
async fn correcting_a_typing_error_waits_for_nothing_and_a_replacement_takes_two_sends() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    alice.setup("+12015550199").await.expect(200);
    let code = alice.setup(HOME).await.expect(200).development_code();
    alice.verify(&code).await.expect(200);
    service.clock.pass(3600);
    let proof = alice.send_sms_for("change").await.expect(200).development_code();
    let sent = alice.replace(WORK, &proof).await.expect(200);
    assert_eq!(sent.body["sends_remaining"], 3);
    alice.verify_for("replace", &sent.development_code()).await.expect(200);
}

#[tokio::test]
async fn turning_off_works_without_a_body_in_a_delete() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    let off = |code: &str| json!({"method": "none", "code": code});
    alice.call(Method::POST, "setup", json!({"method": "none"})).await.expect_problem(403, "verification_required");
    let done = alice.call(Method::POST, "setup", off(&backup_codes[0])).await.expect(200);
    assert_eq!(done.body, json!({"enabled": false}));
    alice.call(Method::POST, "setup", off(&backup_codes[1])).await.expect_problem(409, "not_enabled");
}

#[tokio::test]
async fn a_right_proof_that_leads_nowhere_is_not_spent_s16() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let backup_codes = alice.enroll(HOME).await;
    alice.replace(HOME, &backup_codes[0]).await.expect_problem(409, "already_enabled");
    let first = alice.replace(WORK, &backup_codes[0]).await.expect(200);
    assert_eq!(first.body["sends_remaining"], 4, "a replacement with a backup code costs the user no send");
    alice.replace(WORK, &backup_codes[1]).await.expect_problem(429, "rate_limited");
    assert_eq!(alice.status().await.body["backup_codes_remaining"], 9, "the second one is still there");
}
