"""What tests share: mails, stores, servers, peers. A test imports it as `from tests.support.x import y`; a conftest.py
holds fixtures only.
"""
