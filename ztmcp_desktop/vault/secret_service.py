"""The Secret Service of the Linux desktop (GNOME Keyring, KWallet, KeePassXC), without its prompts."""

import secretstorage
from keyring.backends.SecretService import Keyring
from keyring.errors import InitError, KeyringLocked
from secretstorage.exceptions import ItemNotFoundException, SecretStorageException


class UnpromptedSecretService(Keyring):
    """keyring's backend, but a locked or missing collection is an error at once.

    The original asks to unlock or to create it, and waits without end for an answer that a headless machine cannot
    give and that a person may take for ours.
    """

    def get_preferred_collection(self) -> secretstorage.Collection:
        """The default collection, open.

        Raises:
            KeyringLocked: it is locked.
            InitError: there is no D-Bus, no Secret Service, or no default collection.
        """
        try:
            bus = secretstorage.dbus_init()
        except (SecretStorageException, OSError) as error:
            raise InitError(f"no D-Bus session: {error}") from error
        try:
            if not secretstorage.check_service_availability(bus):
                raise InitError("no Secret Service on D-Bus")  # noqa: TRY301 - closes the bus below
            collection = secretstorage.Collection(bus)
            if collection.is_locked():
                raise KeyringLocked("the default keychain is locked")  # noqa: TRY301 - closes the bus below
        except ItemNotFoundException as error:
            bus.close()
            raise InitError("the Secret Service has no default keychain") from error
        except SecretStorageException as error:
            bus.close()
            raise InitError(str(error)) from error
        except BaseException:
            bus.close()
            raise
        return collection

    def unlock(self, item: secretstorage.Item) -> None:
        """Refuse an item that is locked by itself."""
        if item.is_locked():
            raise KeyringLocked("this entry of the keychain is locked")
