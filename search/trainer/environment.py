"""What a trainer gets to see of the environment: it opens no study and calls no service, so it needs no secrets."""

import re
from collections.abc import Collection, Mapping

ALLOWED_VARIABLE = "FRCNN_TRAINER_ENVIRONMENT"  # names, comma-separated, that trainers get all the same

#: Names of variables that hold secrets, or say where they lie, by the habits of clouds, databases and registries.
_SECRETS = re.compile(
    r"""
    .*(PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|COOKIE|PRIVATE_KEY|ACCESS_KEY|API_?KEY|_KEY\b).*
    | (AWS|AZURE|GOOGLE|GCP|GCLOUD|PG|WANDB|HF|RAY|KAGGLE|SSH)_?[A-Z0-9_]*
    | FRCNN_(STORAGE|DASHBOARD_.*)
    | .*(DATABASE|DB|REDIS|AMQP|BROKER|POSTGRES\w*|MYSQL\w*)_?(URL|URI|DSN)
    | KUBECONFIG | NETRC | DOCKER_CONFIG | PGPASSFILE
    """,
    re.VERBOSE,
)


def trainer_environment(environment: Mapping[str, str], *, withheld: Collection[str] = ()) -> dict[str, str]:
    """The variables that a trainer gets: all but those named and those that look like secrets.

    Who needs one of the latter, to read data for example, names it in FRCNN_TRAINER_ENVIRONMENT.
    """
    allowed = {name.strip() for name in environment.get(ALLOWED_VARIABLE, "").split(",")}
    return {
        name: value
        for name, value in environment.items()
        if name not in withheld and (name in allowed or not _SECRETS.fullmatch(name.upper()))
    }
