"""How the network that ships with Strata was made: pictures to crops to a trained, folded VGG trunk."""
