"""Trust: a TUF repository in the central bucket that says which releases hold and which of them answers where.

    root          2 of 3 keys, offline; names the keys of the four roles below it
    timestamp     the newest snapshot; lives a day, so metadata that somebody froze is noticed
    snapshot      one version and digest of each role, so they cannot be mixed
    targets       delegates: to each tenant its own paths, to `promotion` the live pointers
      <tenant>.release   `<tenant>/<task>/<number>.json`: the release manifests that hold, with the digests of every
                         other file of the release beside each
      promotion          `live/<region>/<tenant>/<task>.json`: the live pointers

Roles and their metadata are python-tuf's; a region reads them with its client (client.py) and believes nothing else.
https://theupdateframework.github.io/specification/latest/
"""
