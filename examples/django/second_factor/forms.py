"""The fields. A code field takes what people paste, so it has no pattern: the service reads it."""

from django import forms


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Code from the text message, or a backup code",
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "text", "spellcheck": "false"}),
    )


class NumberForm(forms.Form):
    phone = forms.CharField(
        label="Mobile number",
        help_text="With + and the country code, such as +12015550123.",
        max_length=40,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel"}),
    )


class EnrollForm(NumberForm):
    password = forms.CharField(
        label="Your password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, user, *args, **kwargs):
        self.user = user
        super().__init__(*args, **kwargs)

    def clean_password(self):
        """Whoever finds a session open must not put their own number on the account."""
        if not self.user.check_password(self.cleaned_data["password"]):
            raise forms.ValidationError("That is not your password.")


class ChangeNumberForm(CodeForm, NumberForm):
    field_order = ["phone", "code"]
