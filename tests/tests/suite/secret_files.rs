//! The service with a secret that is mounted, as a pod has it.

use std::{fs, os::unix::fs::symlink, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use two_factor_local::sms_inbox::Reply;
use two_factor_tests::service::{HOME, TestService};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";

/// Mounts the next version of the secret, as kubelet does: all files change at once, by the name of one link.
fn mount(folder: &Path, version: &str, token: &str) {
    fs::create_dir_all(folder.join(version)).unwrap();
    fs::write(folder.join(version).join("twilio-auth-token"), format!("{token}\n")).unwrap();
    symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[tokio::test]
async fn a_rotated_credential_is_used_without_a_restart() {
    let folder = std::env::temp_dir().join(format!("two-factor-secret-files-{}", std::process::id()));
    mount(&folder, "..1", "old");
    symlink("..data/twilio-auth-token", folder.join("twilio-auth-token")).unwrap();
    let id = format!("file:{}", folder.display());
    let service = TestService::production(&[("SECRET_ID", &id), ("TWILIO_AUTH_TOKEN", "")]).await;
    let alice = service.user("alice");
    alice.enroll(HOME).await;
    service.clock.pass(301);
    let refusal = Reply::refusal(401, 20003);

    // What is mounted has not changed yet.
    service.inbox.script([refusal.clone()]);
    let refused = alice.send_sms().await.expect(502);
    assert_eq!(refused.body["reason"], json!("provider_unavailable"));
    service.clock.pass(301);

    mount(&folder, "..2", "new");
    service.inbox.script([refusal]);
    alice.send_sms().await.expect(200);
    alice.verify(&service.last_code()).await.expect(200);
    let tokens = service.inbox.received().into_iter().map(|message| message.authorization.unwrap());
    let [old, new] = ["old", "new"].map(|token| format!("Basic {}", BASE64_STANDARD.encode(format!("{ACCOUNT}:{token}"))));
    assert_eq!(tokens.collect::<Vec<_>>(), [&*old, &*old, &*old, &*new], "each was tried once");
    fs::remove_dir_all(folder).unwrap();
}
