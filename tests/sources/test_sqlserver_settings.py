"""Where the server is and what its tables are called: file, environment, and what is refused."""

import re

import pytest

from toolkit.errors import ArgumentError
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.names import Names, TableNames
from toolkit.sources.sqlserver.settings import SqlServerSettings, read_server

ENVIRONMENT = {
    "TOOLKIT_MSSQL_HOST": "sql.example.com",
    "TOOLKIT_MSSQL_USER": "reader",
    "TOOLKIT_MSSQL_DATABASE": "Sales",
    "TOOLKIT_MSSQL_PASSWORD": "s3cret!",
}
FILE = """
[mssql]
host = "10.0.0.7"
port = 14330
user = "forecasts"
database = "ERP"
encryption = "request"
query_timeout_seconds = 60

[tables.OrderItem]
schema = "sales"
name = "order lines"
columns = { Qty = "amount", Created = "added at" }
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "server.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_environment_alone_will_do():
    server = read_server(environment=ENVIRONMENT)
    assert server.settings == SqlServerSettings("sql.example.com", "reader", "Sales", "s3cret!")
    assert server.settings.encryption == "require"
    assert server.names == Names()


def test_a_file_and_the_password_from_the_environment(write):
    server = read_server(write(FILE), {"TOOLKIT_MSSQL_PASSWORD": "s3cret!"})
    assert server.settings == SqlServerSettings(
        "10.0.0.7", "forecasts", "ERP", "s3cret!", 14330, "request", query_timeout_seconds=60
    )
    columns = {"Qty": "amount", "Created": "added at"}
    assert server.names == Names({"OrderItem": TableNames("sales", "order lines", columns)})


def test_the_environment_prevails(write):
    changed = {
        "TOOLKIT_MSSQL_PORT": "1500",
        "TOOLKIT_MSSQL_ENCRYPTION": "off",
        "TOOLKIT_MSSQL_APPLICATION_INTENT": "ReadWrite",
    }
    settings = read_server(write(FILE), ENVIRONMENT | changed).settings
    assert settings.place == "sql.example.com:1500/Sales"
    assert (settings.encryption, settings.query_timeout_seconds) == ("off", 60)
    assert settings.application_intent == "ReadWrite"


def test_the_password_is_shown_nowhere():
    settings = read_server(environment=ENVIRONMENT).settings
    assert str(settings) == "mssql://reader:***@sql.example.com:1433/Sales"
    assert "s3cret!" not in f"{settings} {settings!r} {settings.place}"


WRONG = {
    "nothing is given": (
        "",
        {},
        [
            "mssql.host or TOOLKIT_MSSQL_HOST: is missing",
            "user or TOOLKIT_MSSQL_USER:",
            "database or TOOLKIT_MSSQL_DATABASE:",
            "TOOLKIT_MSSQL_PASSWORD: is missing",
        ],
    ),
    "a password in the file": (
        FILE.replace("[mssql]", '[mssql]\npassword = "sesame"'),
        ENVIRONMENT,
        ["mssql.password: belongs into the environment, as TOOLKIT_MSSQL_PASSWORD"],
    ),
    "misspelt keys": (
        FILE.replace("port", "prot").replace("Qty", "Quantity") + "[tables.Orders]\n[serve]\n",
        ENVIRONMENT,
        [
            "mssql.prot: is unknown; did you mean 'port'?",
            "tables.OrderItem.columns.Quantity: is unknown",
            "tables.Orders: is unknown; did you mean 'Order'?",
            "serve: is unknown",
        ],
    ),
    "values out of range": (
        FILE.replace("14330", "0")
        .replace('"request"', '"yes"')
        .replace("60", 'true\napplication_intent = "readonly"'),
        ENVIRONMENT,
        [
            "mssql.port: has to be a whole number from 1 to 65,535, got 0",
            "mssql.encryption: has to be one of 'off', 'request', 'require', got 'yes'",
            "mssql.query_timeout_seconds: has to be a whole number from 1 to 86,400, got True",
            "mssql.application_intent: has to be one of 'ReadOnly', 'ReadWrite', got 'readonly'; "
            "did you mean 'ReadOnly'?",
        ],
    ),
    "a port that is no number": (
        FILE,
        ENVIRONMENT | {"TOOLKIT_MSSQL_PORT": "14e3"},
        ["TOOLKIT_MSSQL_PORT: has to be a whole number from 1 to 65,535, got '14e3'"],
    ),
    "texts that are none": (
        FILE.replace('"10.0.0.7"', "7").replace('"amount"', "1").replace('"sales"', '"a%s"'),
        {"TOOLKIT_MSSQL_PASSWORD": "s3cret!"},
        [
            "mssql.host: has to be text in quotes, got 7",
            "OrderItem.columns.Qty: has to be a name without %, got 1",
            "OrderItem.schema: has to be a name without %, got 'a%s'",
        ],
    ),
    "no table": ("mssql = 7\ntables = 3\n", ENVIRONMENT, ["mssql: has to be", "tables: has to be"]),
}


@pytest.mark.parametrize(("text", "environment", "problems"), WRONG.values(), ids=WRONG)
def test_everything_wrong_is_told_at_once(write, text, environment, problems):
    with pytest.raises(ArgumentError) as caught:
        read_server(write(text), environment)
    told = str(caught.value)
    for problem in problems:
        assert problem in told
    assert len(re.findall(r"^  - ", told, re.MULTILINE)) == len(problems)
    assert "s3cret!" not in told
    assert "sesame" not in told


def test_a_file_that_cannot_be_read(write, tmp_path):
    with pytest.raises(ArgumentError, match=r"nowhere\.toml cannot be read: No such file"):
        read_server(tmp_path / "nowhere.toml", ENVIRONMENT)
    with pytest.raises(ArgumentError, match="is no TOML"):
        read_server(write("host = "), ENVIRONMENT)


MAPPING = """
timezone = "Europe/Berlin"
decimal = ","

[columns]
customer_id = "Kunde"

[tables.Product]
columns = { Category = "ProductGroup" }

[tables.Client]
name = "Shops"
"""


def test_one_mapping_serves_files_and_servers(write, tmp_path):
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(MAPPING, encoding="utf-8")
    read = OrderMapping.read(mapping)
    assert (read.decimal, read.columns) == (",", {"customer_id": "Kunde"})
    tables = {
        "Product": TableNames("dbo", "Product", {"Category": "ProductGroup"}),
        "Client": TableNames("dbo", "Shops"),
    }
    assert read.names == Names(tables, "Europe/Berlin")
    server = read_server(environment=ENVIRONMENT, mapping=mapping)
    assert server.names == read.names
    read.save(tmp_path / "again.toml")
    assert OrderMapping.read(tmp_path / "again.toml") == read
    both = read_server(write("timezone = 'UTC'\n" + FILE), ENVIRONMENT, mapping=mapping)
    assert both.names.timezone == "UTC"
    assert both.names.tables.keys() == {"OrderItem"}  # of the file of --config
    asked = read_server(write(FILE), ENVIRONMENT, mapping=mapping, timezone="Asia/Tokyo")
    assert asked.names.timezone == "Asia/Tokyo"


def test_a_description_of_a_server_is_a_mapping(write):
    path = write("timezone = 'UTC'\n" + FILE)
    names = read_server(path, ENVIRONMENT).names
    assert OrderMapping.read(path).names == names
    wrong = write("timezone = 'Europe/Berln'\n[tables.Orders]\n[columns]\nclient = 'x'\n" + FILE)
    with pytest.raises(ArgumentError) as caught:
        read_server(wrong, ENVIRONMENT)
    said = str(caught.value)
    assert "timezone: has to be a time zone like Europe/Berlin, got 'Europe/Berln'" in said
    assert "tables.Orders: is unknown" in said
    assert "columns.client: is unknown" in said
