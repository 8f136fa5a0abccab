"""What programs ask over HTTP: SQL, REST, and who may."""
