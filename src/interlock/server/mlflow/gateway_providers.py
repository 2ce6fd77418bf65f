"""Answer what MLflow's web UI asks about providers of models: who there is, and what it takes to sign in there."""

from __future__ import annotations

import msgspec

from interlock.server.mlflow.gateway_records import DEFINITIONS
from interlock.server.mlflow.kept_records import every_record
from interlock.server.mlflow.wire import Endpoint, Ground, invalid

PROVIDERS = [
    "ai21",
    "anthropic",
    "azure",
    "bedrock",
    "cerebras",
    "cohere",
    "databricks",
    "deepinfra",
    "deepseek",
    "fireworks_ai",
    "gemini",
    "groq",
    "huggingface",
    "mistral",
    "nebius",
    "nvidia_nim",
    "ollama",
    "openai",
    "openrouter",
    "perplexity",
    "replicate",
    "sagemaker",
    "sambanova",
    "snowflake",
    "together_ai",
    "vertex_ai",
    "vllm",
    "volcengine",
    "voyage",
    "watsonx",
    "xai",
]


class FieldRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to fill in."""

    name: str
    type: str
    description: str
    required: bool
    default: str | None = None


class ModeRecord(msgspec.Struct, frozen=True):
    """One way to sign in: what is secret, and what else has to be known."""

    mode: str
    display_name: str
    description: str
    secret_fields: list[FieldRecord]
    config_fields: list[FieldRecord]


class ConfigAnswer(msgspec.Struct, frozen=True):
    """The ways to sign in with a provider; the first is the usual one."""

    auth_modes: list[ModeRecord]
    default_mode: str


class ModelRecord(msgspec.Struct, frozen=True):
    """One model that somebody here has defined; what it can do is not known."""

    model: str
    provider: str
    mode: str | None = None


class _Asked(msgspec.Struct):
    provider: str = ""


def _field(name: str, description: str, *, needed: bool = True, default: str | None = None) -> FieldRecord:
    return FieldRecord(name, "string", description, needed, default)


_AWS_KEYS = [_field("aws_access_key_id", "AWS access key id"), _field("aws_secret_access_key", "AWS secret access key")]
_AWS_REGION = _field("aws_region_name", "AWS region, such as us-east-1", needed=False)
_AWS_ROLE = _field("aws_role_name", "ARN of the role to take")
_AWS_MACHINE = ModeRecord(
    "default_chain", "Machine's credentials", "Those that the machine has which calls the model", [], [_AWS_REGION]
)
_MODES: dict[str, list[ModeRecord]] = {
    "bedrock": [
        ModeRecord("api_key", "API key", "A key of Amazon Bedrock", [_field("api_key", "API key")], [_AWS_REGION]),
        ModeRecord("access_keys", "Access keys", "A pair of AWS access keys", _AWS_KEYS, [_AWS_REGION]),
        ModeRecord("iam_role", "IAM role", "A role that is taken for the call", [], [_AWS_ROLE, _AWS_REGION]),
        _AWS_MACHINE,
    ],
    "sagemaker": [
        ModeRecord("access_keys", "Access keys", "A pair of AWS access keys", _AWS_KEYS, [_AWS_REGION]),
        ModeRecord("iam_role", "IAM role", "A role taken with access keys", _AWS_KEYS, [_AWS_ROLE, _AWS_REGION]),
        _AWS_MACHINE,
    ],
    "azure": [
        ModeRecord(
            "api_key",
            "API key",
            "A key of an Azure OpenAI resource",
            [_field("api_key", "API key")],
            [_field("api_base", "Address of the resource"), _field("api_version", "Version of the API")],
        )
    ],
    "databricks": [
        ModeRecord(
            "pat_token",
            "Personal access token",
            "A token of one person",
            [_field("api_key", "Token")],
            [_field("api_base", "Address of the workspace")],
        ),
        ModeRecord(
            "oauth_m2m",
            "Service principal",
            "OAuth between machines",
            [_field("client_secret", "Secret of the client")],
            [_field("api_base", "Address of the workspace"), _field("client_id", "Id of the client")],
        ),
    ],
    "vertex_ai": [
        ModeRecord(
            "service_account_json",
            "Service account",
            "The key file of a Google Cloud service account",
            [_field("vertex_credentials", "Content of the key file, JSON")],
            [
                _field("vertex_project", "Google Cloud project"),
                _field("vertex_location", "Region", needed=False, default="us-central1"),
            ],
        )
    ],
}


def _providers(ground: Ground, asked: _Asked) -> dict[str, list[str]]:
    return {"providers": sorted({*PROVIDERS, *(one.provider for one in _known_models(ground))})}


def _models(ground: Ground, asked: _Asked) -> dict[str, list[ModelRecord]]:
    found = sorted(set(_known_models(ground)), key=lambda one: (one.provider, one.model))
    return {"models": [one for one in found if asked.provider in ("", one.provider)]}


def _config(ground: Ground, asked: _Asked) -> ConfigAnswer:
    if not asked.provider:
        raise invalid("Provider parameter is required")
    modes = _MODES.get(asked.provider.lower()) or [
        ModeRecord(
            "api_key",
            "API key",
            "A key of the provider",
            [_field("api_key", "API key")],
            [_field("api_base", "Address of the API, where it is not the usual one", needed=False)],
        )
    ]
    return ConfigAnswer(modes, modes[0].mode)


def _known_models(ground: Ground) -> list[ModelRecord]:
    return [ModelRecord(one.body["model_name"], one.body["provider"]) for one in every_record(ground, DEFINITIONS)]


_ALL = "/3.0/mlflow/gateway"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="GET", path=f"{_ALL}/supported-providers", request=_Asked, handle=_providers),
    Endpoint(method="GET", path=f"{_ALL}/supported-models", request=_Asked, handle=_models),
    Endpoint(method="GET", path=f"{_ALL}/provider-config", request=_Asked, handle=_config),
)
