"""A second process that follows a store by a cursor, and a first that writes."""

import subprocess
import sys

from walvec import MilvusClient, changes

STORE = "./mystore"


def follow() -> None:
    """Print what happens to the rows, and go on where the last run left off."""
    with MilvusClient(STORE) as client:
        feed = client.changes(cursor="printer", follow=True, timeout=10)
        for change in feed:
            match change:
                case changes.RowsInserted(seq=seq, pks=pks):
                    print(f"{seq}: new {pks}", flush=True)
                case changes.RowsDeleted(seq=seq, pks=pks):
                    print(f"{seq}: gone {pks}", flush=True)
                case changes.CollectionDropped():
                    feed.ack()
                    return
            feed.ack()  # not before the change was dealt with: what is not noted comes again


if __name__ == "__main__":
    if sys.argv[1:] == ["follow"]:
        follow()
        raise SystemExit
    with MilvusClient(STORE) as client:
        client.create_collection("docs", dimension=2)
        follower = subprocess.Popen([sys.executable, __file__, "follow"])
        client.insert("docs", [{"id": 1, "vector": [0.1, 0.2]}, {"id": 2, "vector": [0.3, 0.4]}])
        client.delete("docs", ids=[1])
        client.drop_collection("docs")
        follower.wait()
        print(client.list_cursors()[0]["behind"], "changes behind")
