"""The words of subscriptions in both eras: who asks for what, and which notification answers it."""

LISTEN = "subscriptions/listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIBE = "resources/subscribe"
UNSUBSCRIBE = "resources/unsubscribe"
UPDATED = "notifications/resources/updated"
RESOURCES = "resourceSubscriptions"
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"

CHANGES = {
    "toolsListChanged": "notifications/tools/list_changed",
    "promptsListChanged": "notifications/prompts/list_changed",
    "resourcesListChanged": "notifications/resources/list_changed",
}
"""The flags of a filter (2026-07-28, basic/patterns/subscriptions), and the notification that each asks for."""

LISTS = {
    "notifications/tools/list_changed": "tools/list",
    "notifications/prompts/list_changed": "prompts/list",
    "notifications/resources/list_changed": "resources/list",
}
"""What a client would ask for when it hears that a list changed."""

OF_SUBSCRIPTIONS = frozenset({*LISTS, UPDATED, ACKNOWLEDGED})
"""What belongs to subscriptions, and so to no call, whenever it comes."""
