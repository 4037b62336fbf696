"""Protobuf classes for the tests, as protoc makes them of these files."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

MONEY = """
syntax = "proto3";
package shop;
message Money {
  string currency = 1;
  sint64 cents = 2;
}
"""

SHOP = """
// What is sold.
syntax = "proto3";
package shop;
import "shop_money.proto";
import "google/protobuf/timestamp.proto";
option java_package = "com.shop";
option java_multiple_files = true;

message Customer { string name = 1; }

message Order {
  message Item {
    string sku = 1;
    int32 count = 2;
    map<string, bytes> extra = 3;
    message Note { string text = 1; }
    Note note = 4;
  }
  enum State { NEW = 0; PAID = 1 [deprecated = true]; reserved 5 to 7, 9; reserved "OLD"; }
  string id = 1;
  repeated Item items = 2;
  map<string, Money> prices = 3;
  State state = 4;
  optional double weight = 5;
  oneof how {
    string coupon = 6;
    Customer customer = 7;
  }
  google.protobuf.Timestamp at = 8;
  repeated int32 packed = 9;
  repeated int32 unpacked = 10 [packed = false];
  string other_name = 11 [json_name = "name"];
  reserved 20 to max;
}
"""

LEGACY = """
syntax = "proto2";
message Legacy {
  required string id = 1;
  optional int32 count = 2 [default = -3];
  optional string text = 3 [default = "a\\"b"];
  optional bytes raw = 4 [default = "\\001\\xff"];
  optional Kind kind = 5 [default = B];
  optional group Part = 6 { optional int32 x = 1; }
  extensions 100 to 199;
  enum Kind { option allow_alias = true; A = 0; B = 1; C = 1; }
}
extend Legacy { optional float share = 100; }
service Search { rpc Find (Legacy) returns (stream Legacy); }
"""

PART = """
syntax = "proto3";
package stock;
message Part { string sku = 1; }
"""

STOCK = """
syntax = "proto3";
package stock;
import "stock/part.proto";
message Place { string name = 1; }
message Shelf {
  message Box {
    Part part = 1;
    map<string, int64> counts = 2;
    message Label { string text = 1; }
    Label label = 3;
  }
  repeated Box boxes = 1;
  Place place = 2;
  optional double weight = 3;
}
"""

#: In folders that are called as their packages: Apicurio's client for Java finds no others.
STOCK_FILES = {"stock/part.proto": PART, "stock/stock.proto": STOCK}
FILES = {"shop_money.proto": MONEY, "shop_orders.proto": SHOP, "shop_legacy.proto": LEGACY}


def compile_files(folder: Path, files: dict[str, str], *options: str) -> None:
    """Let protoc have files."""
    from grpc_tools import protoc

    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    include = Path(protoc.__file__).parent / "_proto"
    command = ["protoc", f"-I{folder}", f"-I{include}", *options, *(str(folder / name) for name in files)]
    if protoc.main(command) != 0:
        raise AssertionError(f"protoc refuses {list(files)}")


def load(folder: Path) -> tuple[ModuleType, ModuleType]:
    """Return the modules of orders and of the legacy file; once a process, since names are known to all of it."""
    orders, legacy = _modules(folder, FILES, "shop_orders_pb2", "shop_legacy_pb2")
    return orders, legacy


def load_stock(folder: Path) -> ModuleType:
    """Return the module of a file in a folder, with an import."""
    return _modules(folder, STOCK_FILES, "stock.stock_pb2")[0]


def _modules(folder: Path, files: dict[str, str], *names: str) -> list[ModuleType]:
    if names[0] not in sys.modules:
        compile_files(folder, files, f"--python_out={folder}")
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
    return [importlib.import_module(name) for name in names]
