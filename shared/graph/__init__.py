"""Microsoft Graph and Entra behind the ports `MailProvider` and `SignIn`."""
